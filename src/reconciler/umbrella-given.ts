import type { Logger } from 'pino';
import { describeFailure, saysNothing, type Failure } from '../domain/outcome.ts';
import { consoleIdentity } from './given-keys.ts';
import type { CallContext, Clock, GivenKey, UmbrellaKeys, Vault, Vendors } from './ports.ts';

/** Umbrella keys that people gave to a hand-off: proved with themselves before they come into use (rulings 16). */

export interface ProverDeps {
  keys: Pick<UmbrellaKeys, 'given' | 'judge'>;
  vault: Vault;
  vendors: Vendors;
  clock: Clock;
  log: Logger;
}

/** What could not be proved for the weather is called with again after that time. */
const AGAIN_MS = 60_000;

/** Proves what was given and not tried lately; weather decides nothing. */
export function createProver(
  { keys, vault, vendors, clock, log }: ProverDeps,
  { callsMs }: { callsMs: number },
): (signal: AbortSignal) => Promise<void> {
  const tried = new Map<string, number>();

  async function prove(given: GivenKey, signal: AbortSignal): Promise<void> {
    const { tenantId, credentialId, origin, sealed, spec } = given;
    const now = clock.now().getTime();
    const pair = await vault.open(sealed, { tenantId, credentialId, purpose: 'umbrella-api', origin });
    const context: CallContext = { tenantId, deadline: new Date(now + callsMs), signal };
    const umbrella = vendors.umbrella(spec);
    const token = await umbrella.authenticate(pair, context, { anew: true });
    const shown = token.ok ? await umbrella.customers(pair, context) : token;
    if (!shown.ok && saysNothing(shown.failure)) {
      tried.set(credentialId, now);
      return;
    }
    tried.delete(credentialId);
    const console =
      spec.umbrella.organizationId === undefined ? consoleIdentity(spec, pair.publicHalf) : undefined;
    const kept = await keys.judge(given, shown.ok ? WORKS : verdictOf(shown.failure), console);
    if (kept === 'taken') {
      const because = 'it speaks for the console of another tenant: one console is one tenant';
      await keys.judge(given, { becomes: 'refused', because }, undefined);
    }
  }

  return async (signal) => {
    const all = await keys.given();
    const ids = new Set(all.map(({ credentialId }) => credentialId));
    for (const id of tried.keys()) if (!ids.has(id)) tried.delete(id);
    const due = clock.now().getTime() - AGAIN_MS;
    for (const given of all.filter(({ credentialId }) => (tried.get(credentialId) ?? -Infinity) <= due)) {
      try {
        await prove(given, signal);
      } catch (error) {
        tried.set(given.credentialId, clock.now().getTime());
        log.error({ tenant: given.tenantId, error: (error as Error).message }, 'a given key was not proved');
      }
    }
  };
}

const WORKS = { becomes: 'active', because: 'it got a token and listed customers' } as const;

/** A key that lives and may not do what is needed is refused: a person is to delete it, or to give it the scope. */
function verdictOf(failure: Failure): { becomes: 'refused' | 'dead'; because: string } {
  return failure.kind === 'Unauthorized'
    ? { becomes: 'dead', because: 'Umbrella refuses it' }
    : { becomes: 'refused', because: `Umbrella ${describeFailure(failure)}: delete it in Admin > API Keys` };
}
