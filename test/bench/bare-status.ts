import { fastify } from 'fastify';
import pg from 'pg';

/** The baseline of reading a status, in a process of its own: Fastify, and one select of the row that holds it. */
const pool = new pg.Pool({ connectionString: process.env['BARE_DATABASE_URL'] ?? '', max: 10 });
const app = fastify();
app.get<{ Params: { id: string } }>('/tenants/:id/status', async ({ params }) => {
  const { rows } = await pool.query<object>({
    name: 'status',
    text: 'select tenant_id, observed_generation, ready, conditions, drift, observed_at from statuses where tenant_id = $1',
    values: [params.id],
  });
  return rows[0];
});
process.stdout.write(`bare at ${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
