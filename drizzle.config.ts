import { defineConfig } from 'drizzle-kit';

/**
 * `npx drizzle-kit generate --name WHAT` writes the next migration from the tables in `src/store`. Polish and
 * comment the SQL by hand before it is committed (PostgreSQL's storage settings are unknown to drizzle).
 */
export default defineConfig({
  dialect: 'postgresql',
  schema: './src/store/schema.ts',
  out: './migrations',
});
