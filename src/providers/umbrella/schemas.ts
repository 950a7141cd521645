import { z } from 'zod';
import type { CustomerFact } from '../../domain/observation.ts';
import type { ListedApiKey } from '../../reconciler/ports.ts';

/** What is read of Umbrella's answers (domain.md §5); fields that nothing rests on are ignored. */

export const tokenSchema = z.object({
  token_type: z.string().regex(/^bearer$/i),
  /** What can be sent in a header. */
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  /** Seconds. */
  expires_in: z.number().positive(),
});

/** A customer of an MSP or an MSSP console: the two lists share what is read here. */
export const customersSchema = z.array(
  z
    .object({ customerId: z.number().int(), customerName: z.string() })
    .transform((row): CustomerFact => ({ id: row.customerId, name: row.customerName })),
);

/** ISO 8601 in UTC; Umbrella's empty string means never, or not yet. */
const time = z
  .string()
  .nullish()
  .transform((told) => (told && !Number.isNaN(Date.parse(told)) ? new Date(told).toISOString() : null));

/** An expiry that cannot be read must not look like "never". */
const expiry = z
  .string()
  .refine((told) => told === '' || !Number.isNaN(Date.parse(told)))
  .transform((told) => (told === '' ? null : new Date(told).toISOString()));

export const apiKeysSchema = z.object({
  total: z.number().int().nullish(),
  keys: z.array(
    z
      .object({
        id: z.string().min(1),
        name: z.string().nullish(),
        clientId: z.string().nullish(),
        scopes: z.array(z.string()),
        allowedIPs: z.array(z.string()).nullish(),
        expireAt: expiry,
        createdAt: time,
        lastRefreshedAt: time,
        lastUsedAt: time,
      })
      .transform((row): ListedApiKey => ({
        id: row.id,
        name: row.name ?? '',
        clientId: row.clientId ?? '',
        scopes: row.scopes,
        allowedIPs: row.allowedIPs ?? [],
        expiresAt: row.expireAt,
        createdAt: row.createdAt,
        issuedAt: newer(row.createdAt, row.lastRefreshedAt),
        lastUsedAt: row.lastUsedAt,
      })),
  ),
});

const newer = (a: string | null, b: string | null): string | null =>
  a === null || (b !== null && b > a) ? b : a;

/** The one answer that tells a secret. */
export const madeKeySchema = z.object({
  key: z.object({ id: z.string().min(1), clientId: z.string().min(1), clientSecret: z.string().min(1) }),
});

/** The three error shapes in one: `{message, description}`, `{message}`, `{error, message, statusCode}`. */
export const errorSchema = z.object({
  error: z.string().nullish(),
  message: z.string().nullish(),
  description: z.string().nullish(),
});
