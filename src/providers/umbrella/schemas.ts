import { z } from 'zod';
import type { CustomerFact } from '../../domain/observation.ts';
import { LONGEST_SECRET } from '../../domain/secret.ts';
import type { ListedApiKey } from '../../reconciler/ports.ts';
import { LONGEST_TEXT } from '../http/understood.ts';

/** What is read of Umbrella's answers (domain.md §5); fields that nothing rests on are ignored. */

const told = z.string().max(LONGEST_TEXT);

/** Seconds: Umbrella's tokens live for an hour, and one that lived for years would outlive its key unseen. */
const LONGEST_TOKEN_LIFE = 24 * 60 * 60;

export const tokenSchema = z.object({
  token_type: z.string().regex(/^bearer$/i),
  /** What can be sent in a header. */
  access_token: z
    .string()
    .max(LONGEST_SECRET)
    .regex(/^[\x21-\x7e]+$/),
  /** Seconds, a day at most. */
  expires_in: z
    .number()
    .positive()
    .transform((seconds) => Math.min(seconds, LONGEST_TOKEN_LIFE)),
});

/** A customer of an MSP or an MSSP console: the two lists share what is read here. */
export const customersSchema = z.array(
  z
    .object({ customerId: z.number().int(), customerName: told })
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
        id: told.min(1),
        name: told.nullish(),
        clientId: z.string().max(LONGEST_SECRET).nullish(),
        scopes: z.array(told),
        allowedIPs: z.array(told).nullish(),
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

const half = z.string().min(1).max(LONGEST_SECRET);

/** The one answer that tells a secret. */
export const madeKeySchema = z.object({
  key: z.object({ id: told.min(1), clientId: half, clientSecret: half }),
});

/** The three error shapes in one: `{message, description}`, `{message}`, `{error, message, statusCode}`. */
export const errorSchema = z.object({
  error: z.string().nullish(),
  message: z.string().nullish(),
  description: z.string().nullish(),
});
