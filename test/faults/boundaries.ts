import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import type { World } from '../../src/simulator/index.ts';
import type { Database } from '../e2e/harness.ts';

/**
 * Where a service can be cut off: each commit that changes what a rotation rests on, and each write to a vendor.
 * Both are seen from outside, so that a boundary which the code grows is listed without being named here:
 * commits by triggers and a gate between the service and its database, writes by the vendors' journal.
 */

/** `before`: it never happened; `after`: it happened, and nobody was told. */
export type Side = 'before' | 'after';

/** Changes that were committed together, as `rotation Overlap`, of one company. */
type OnCommit = (company: string, changes: string[]) => void;

/**
 * Tells each change as a notice of its own transaction, which the gate reads. A look that changes nothing tells
 * nothing, nor does what a tenant is given when it is applied.
 */
const TELL = `
  create function tell_boundary() returns trigger language plpgsql as $$
  declare
    was jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) end;
    now jsonb := to_jsonb(new);
    what text;
  begin
    case tg_table_name
      when 'rotations' then
        what := case
          when was ->> 'admitted_at' is distinct from now ->> 'admitted_at' and was is not null then 'rotation admitted'
          when now ->> 'wish' is not null and was ->> 'wish' is null then 'rotation wish ' || (now -> 'wish' ->> 'kind')
          when was ->> 'phase' is distinct from now ->> 'phase' then 'rotation ' || (now ->> 'phase')
          -- That the old key is still in use is noted with each write of Umbrella's.
          when (was -> 'record') #- '{old,lastWrite}' is distinct from (now -> 'record') #- '{old,lastWrite}' then 'rotation ' || (now ->> 'phase') || ' noted'
        end;
      when 'handoffs' then
        what := case
          when was ->> 'state' is distinct from now ->> 'state' then (now ->> 'kind') || ' ' || (now ->> 'state')
          when was ->> 'revealed_at' is distinct from now ->> 'revealed_at' then (now ->> 'kind') || ' revealed'
        end;
      when 'credentials' then
        what := case
          when was is null and now ->> 'state' = 'active' then null
          when was ->> 'state' is distinct from now ->> 'state'
            then (now ->> 'purpose') || ' key of ' || coalesce(now ->> 'member', '-') || ' ' || (now ->> 'state')
        end;
      when 'intents' then
        what := case
          when was ->> 'outcome' is distinct from now ->> 'outcome' then (now ->> 'key') || ' ' || (now ->> 'outcome')
        end;
      when 'owned_objects' then
        what := 'owned ' || (now ->> 'kind') || ' ' || (now ->> 'name');
    end case;
    if what is not null then
      raise notice 'boundary|%|%|', now ->> 'tenant_id', what;
    end if;
    return null;
  end $$`;

const TOLD = ['rotations', 'handoffs', 'credentials', 'intents', 'owned_objects'];
const MARK = /boundary\|([^|]+)\|([^|]+)\|/;

interface Armed {
  change: string;
  nth: number;
  side: Side;
}

/** Stands between the service and its database, and stops a commit where it is told to. */
export interface CommitGate extends AsyncDisposable {
  /** The database's address through it. */
  url: string;
  /** Stops the company's `nth` commit that makes this change, once. */
  arm(company: string, armed: Armed): void;
  disarm(company: string): void;
  /** Companies whose commit is stopped: the service waits for an answer that does not come. */
  held(): string[];
  /** Ends every connection, as the machine's end does. */
  cut(): void;
  /** What went wrong with the gate itself: a change that no transaction held together. */
  problems: string[];
}

export async function commitGate(db: Database, onCommit: OnCommit): Promise<CommitGate> {
  await db.query(TELL);
  for (const table of TOLD) {
    await db.query(
      `create trigger tell_boundary after insert or update on ${table} for each row execute function tell_boundary()`,
    );
  }
  const target = new URL(db.url);
  const armed = new Map<string, Armed>();
  const made = new Map<string, number>();
  const held = new Set<string>();
  const passages = new Set<Passage>();
  const problems: string[] = [];

  const timesMade = (company: string, change: string) => made.get(`${company}|${change}`) ?? 0;
  const rules: GateRules = {
    stops(company, changes) {
      const stop = armed.get(company);
      if (!stop || !changes.includes(stop.change)) return null;
      if (timesMade(company, stop.change) + 1 !== stop.nth) return null;
      armed.delete(company);
      return stop.side;
    },
    held: (company) => held.add(company),
    committed(company, changes) {
      for (const change of new Set(changes)) {
        made.set(`${company}|${change}`, timesMade(company, change) + 1);
      }
      onCommit(company, changes);
    },
    loose: (changes) => problems.push(`no transaction around ${changes.join(', ')}`),
  };

  const server = createServer((near) => {
    const far = connect({ host: target.hostname, port: Number(target.port) });
    const passage = new Passage(near, far, rules);
    passages.add(passage);
    near.on('close', () => passages.delete(passage));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(db.url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  const cut = () => {
    for (const passage of passages) passage.end();
    held.clear();
  };
  return {
    url: through.href,
    arm: (company, stop) => void armed.set(company, stop),
    disarm: (company) => void armed.delete(company),
    held: () => [...held],
    cut,
    problems,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

interface GateRules {
  stops(company: string, changes: string[]): Side | null;
  held(company: string): void;
  committed(company: string, changes: string[]): void;
  loose(changes: string[]): void;
}

/** Until the cut nobody runs the tenant: what its commit released, and what a run of it is about to write, waits. */
const seizes = (company: string): string =>
  `update tenants set claim_owner = 'nobody', claim_token = claim_token + 1,
     next_run_at = now() + interval '1 day' where id = '${company}'`;

/** A statement as it stands on the wire. */
function statement(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

const COMMIT_ASKED = /^Q.{4}commit/is;
const COMMITTED = 'COMMIT\0';

/** One connection of the service's, whose answers are read message by message. */
class Passage {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #rules: GateRules;
  /** Changes of the transaction that is open, by company. */
  #changes = new Map<string, string[]>();
  #rolledBack = false;
  #unread = Buffer.alloc(0);
  /** The company whose answer is kept back. */
  #silentFor: string | null = null;

  constructor(near: Socket, far: Socket, rules: GateRules) {
    this.#near = near;
    this.#far = far;
    this.#rules = rules;
    near.on('error', () => near.destroy());
    far.on('error', () => far.destroy());
    near.on('close', () => far.destroy());
    // Of a commit that is stopped, the service is not told that its connection has gone.
    far.on('close', () => this.#silentFor === null && near.destroy());
    near.on('data', (chunk: Buffer) => this.#ask(chunk));
    far.on('data', (chunk: Buffer) => this.#answer(chunk));
  }

  end(): void {
    this.#near.destroy();
    this.#far.destroy();
  }

  #ask(chunk: Buffer): void {
    if (this.#changes.size > 0 && COMMIT_ASKED.test(chunk.toString('latin1'))) {
      for (const [company, changes] of this.#changes) {
        const side = this.#rules.stops(company, changes);
        if (side === null) continue;
        this.#silentFor = company;
        if (side === 'before') {
          this.#far.destroy();
          this.#rules.held(company);
        } else this.#far.write(statement(`${seizes(company)}; commit`));
        return;
      }
    }
    this.#far.write(chunk);
  }

  #answer(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= 5) {
      const size = 1 + this.#unread.readUInt32BE(1);
      if (this.#unread.length < size) break;
      this.#read(this.#unread.toString('latin1', 0, 1), this.#unread.subarray(5, size));
      this.#unread = this.#unread.subarray(size);
    }
    if (this.#silentFor === null) this.#near.write(chunk);
  }

  /** A message of PostgreSQL's: a notice, the end of a statement, or that it waits for the next one. */
  #read(kind: string, body: Buffer): void {
    if (kind === 'N') {
      const [, company, change] = MARK.exec(body.toString('latin1')) ?? [];
      if (company === undefined || change === undefined) return;
      this.#changes.set(company, [...(this.#changes.get(company) ?? []), change]);
    } else if (kind === 'C' && body.toString('latin1') === COMMITTED) {
      for (const [company, changes] of this.#changes) this.#rules.committed(company, changes);
      if (this.#silentFor !== null) this.#rules.held(this.#silentFor);
      this.#changes.clear();
    } else if (kind === 'Z' && body.toString('latin1') === 'I') {
      const loose = [...this.#changes.values()].flat();
      if (loose.length > 0 && !this.#rolledBack) this.#rules.loose(loose);
      this.#changes.clear();
      this.#rolledBack = false;
    } else if (kind === 'C' && body.toString('latin1') === 'ROLLBACK\0') {
      this.#rolledBack = true;
    } else if (kind === 'E') {
      this.#rolledBack = true;
    }
  }
}

/** A write that reached a vendor. */
export interface VendorWrite {
  /** `POST /system/apiMembers` */
  name: string;
  method: string;
  operation: string;
  path: string;
  body: string;
  applied: boolean;
  fault: string | null;
}

/**
 * Looks at the vendors' journal as it is written: `onMoment` at each call that comes in or is answered, which are
 * the moments at which anything may have changed there; `onWrite` at each write that comes in.
 */
export function watchJournal(
  { journal }: Pick<World, 'journal'>,
  watch: { onMoment(company: string): void; onWrite(company: string, write: VendorWrite): void },
): void {
  const begin = journal.begin.bind(journal);
  const finish = journal.finish.bind(journal);
  journal.begin = (call) => {
    const entry = begin(call);
    const { company, method, operation } = entry;
    if (company === null) return entry;
    watch.onMoment(company);
    if (method !== 'GET' && operation !== null && operation !== '/auth/v2/token') {
      watch.onWrite(company, {
        name: `${method} ${operation}`,
        method,
        operation,
        path: entry.path,
        body: entry.requestText,
        // What became of it is known later.
        get applied() {
          return entry.applied;
        },
        get fault() {
          return entry.fault;
        },
      });
    }
    return entry;
  };
  journal.finish = (entry, status, text) => {
    finish(entry, status, text);
    if (entry.company !== null) watch.onMoment(entry.company);
  };
}

/** The lease of a service that was killed runs out: what it had claimed is due again. */
export async function leasesRunOut(db: Database): Promise<void> {
  await db.query(`update tenants set next_run_at = now() where claim_owner is not null`);
}

/** What was about to be made is so long ago that a list which lacks it tells that it was not made. */
export async function absencesSaySomething(db: Database): Promise<void> {
  await db.query(
    `update intents set opened_at = opened_at - interval '1 hour' where outcome in ('open', 'unknown')`,
  );
}
