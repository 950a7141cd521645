# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
RUN npm run build
# The image's Node is the one that runs; the embedded PostgreSQL is for machines without a database.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production PARASOL_HOST=0.0.0.0 PARASOL_DATA=/var/lib/parasol
WORKDIR /app
RUN install -d -o node -g node -m 0700 /var/lib/parasol
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY migrations ./migrations
COPY examples ./examples
USER node
VOLUME /var/lib/parasol
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PARASOL_PORT ?? 8080) + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# On a large machine V8 would let the heap grow to several times what lives in it, and never give it back: so it is
# collected once it has grown by three fifths. A young generation of three times 32 MB holds what the runs of a sweep
# need, which would otherwise grow old before it dies. Outside the heap, each thread's own arena would keep what it
# once had, and large blocks would be kept among small ones.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072
ENTRYPOINT ["node", "--max-semi-space-size=32", "--heap-growing-percent=60", "dist/main.js"]
CMD ["serve"]
