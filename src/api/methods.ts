import type { FastifyInstance } from 'fastify';

/**
 * Learns every route that is registered after it, and tells which methods an address takes: none where nothing
 * is there.
 */
export function learnMethods(app: FastifyInstance): (address: string) => string[] {
  const routes = new Map<string, { pattern: RegExp; methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const route = routes.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    routes.set(url, route);
  });
  return (address) => {
    const [path = ''] = address.split('?');
    const methods = [...routes.values()].flatMap((route) =>
      route.pattern.test(path) ? [...route.methods] : [],
    );
    return [...new Set(methods)].toSorted();
  };
}

/** `/tenants/:id/status` as an expression; the routes have no other signs in them than `:name` and `*`. */
const patternOf = (url: string): RegExp =>
  new RegExp(`^${url.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll(/:\w+/g, '[^/]+')}$`);
