import type { Keyring, RekeyProgress, SealedText } from '../reconciler/ports.ts';
import { inUse, openCanary, sealCanary } from './canary.ts';
import { refused, type VaultAnswer } from './error.ts';
import type { Kek } from './kek.ts';
import { openWith, reseal } from './vault.ts';

export interface Rekeyed {
  /** Texts that this call sealed anew; those that an earlier one had sealed are not among them. */
  resealed: number;
  /** Texts that are sealed under the new key now. */
  total: number;
  /** Texts that no key opens, `credentials/<id>`: spoilt before, and left as they are. */
  damaged: string[];
}

/** Few enough that a batch is one short statement, many enough that a fleet takes seconds. */
const BATCH = 250;

/**
 * Seals everything that the database holds under another key-encryption key.
 *
 *   begin ──▶ both keys are in use: no service starts, and nothing new is sealed under the old one
 *   seal  ──▶ batch by batch; each text says which key it is under, so that a call that was cut off goes on
 *   check ──▶ every text is opened with the new key
 *   finish ─▶ the old key’s canary goes: only the new key opens the database
 *
 * It may be cut off at any moment and called again with the same two keys. Nobody else may use the database
 * meanwhile (`Occupancy.alone`). What is refused changed nothing.
 */
export async function rekey(
  keyring: Keyring,
  { from, to }: { from: Kek; to: Kek },
  progress: (at: RekeyProgress) => void,
): Promise<VaultAnswer<Rekeyed>> {
  const allowed = await mayChange(keyring, from, to);
  if (!allowed.ok) return allowed;
  await keyring.begin(to.id, await sealCanary(to));

  const counts = await keyring.counts();
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  let done = counts.find(({ kid }) => kid === to.id)?.count ?? 0;
  let resealed = 0;
  const damaged: SealedText[] = [];
  progress({ step: 'seal', done, total });
  for await (const texts of pages(keyring, { notUnder: to.id })) {
    const sealed = await Promise.all(texts.map((text) => reseal(text.sealed, from, to)));
    damaged.push(...texts.filter((_, index) => sealed[index] === null));
    resealed += await keyring.replace(
      texts.flatMap((text, index) => {
        const by = sealed[index];
        return by ? [{ ...text, by }] : [];
      }),
    );
    done += texts.length;
    progress({ step: 'seal', done, total });
  }

  let checked = 0;
  progress({ step: 'check', done: 0, total });
  for await (const texts of pages(keyring, { under: to.id })) {
    const opened = await Promise.all(texts.map((text) => openWith(text.sealed, to)));
    damaged.push(...texts.filter((_, index) => opened[index] === null));
    checked += texts.length;
    progress({ step: 'check', done: checked, total });
  }
  await keyring.finish(to.id);
  return {
    ok: true,
    value: { resealed, total: checked, damaged: damaged.map(({ table, id }) => `${table}/${id}`) },
  };
}

/** Everything is sealed under one of the two keys, both are proved, and the new one was never retired. */
async function mayChange(keyring: Keyring, from: Kek, to: Kek): Promise<VaultAnswer<null>> {
  if (from.id === to.id) {
    return refused('bad-key', `The new key is the one in use (${to.id}): give another. Nothing was changed.`);
  }
  const keys = await keyring.keys();
  if (keys.length === 0) {
    return refused(
      'no-key',
      'Nothing was ever sealed in this database: start the service with the key that you want. Nothing was changed.',
    );
  }
  if (keys.some(({ kid, check }) => kid === to.id && check === null)) {
    return refused('retired', `The key ${to.id} was retired before: give a fresh one. Nothing was changed.`);
  }
  const used = inUse(keys);
  const stranger = used.find(({ kid }) => kid !== from.id && kid !== to.id);
  if (stranger && used.length > 1) {
    return refused(
      'under-way',
      `The key-encryption key is being changed already (${used.map(({ kid }) => kid).join(' → ')}), and these are ` +
        `the keys ${from.id} and ${to.id}: give those two. Nothing was changed.`,
    );
  }
  for (const { kid, check } of used) {
    const proved = await openCanary(kid === to.id ? to : from, check);
    if (!proved.ok) return proved;
  }
  const other = (await keyring.counts()).find(({ kid }) => kid !== null && kid !== from.id && kid !== to.id);
  if (other) {
    return refused(
      'wrong-key',
      `${other.count} texts are sealed under the key ${other.kid}, and these are the keys ${from.id} and ${to.id}. ` +
        `Seal those anew first: PARASOL_KEK with the key ${other.kid}, the one in use as the new one. Nothing was changed.`,
    );
  }
  return { ok: true, value: null };
}

async function* pages(
  keyring: Keyring,
  which: { under: string } | { notUnder: string },
): AsyncGenerator<SealedText[]> {
  for (let after: SealedText | null = null; ;) {
    const texts: SealedText[] = await keyring.page(which, after, BATCH);
    const last = texts.at(-1);
    if (!last) return;
    yield texts;
    after = last;
  }
}
