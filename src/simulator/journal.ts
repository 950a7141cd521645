import type { VendorName } from './wire.ts';

/** One call that reached a simulated vendor. The Authorization header is never kept. */
export interface JournalEntry {
  seq: number;
  /** ISO 8601, by the world's clock. */
  at: string;
  vendor: VendorName;
  company: string | null;
  /** ConnectWise: the member's identifier. Umbrella: the API key's client id. */
  actor: string | null;
  keyFingerprint: string | null;
  method: string;
  path: string;
  /** The contract's path template, e.g. `/system/apiMembers/{id}`. */
  operation: string | null;
  query: Record<string, string>;
  requestHeaders: Record<string, string>;
  requestBody: unknown;
  /** The status sent; null while unanswered, and for ever when the answer was lost. */
  status: number | null;
  responseBody: unknown;
  /** Whether a write changed the vendor's state. Always false for reads. */
  applied: boolean;
  /** The kind of fault that was applied to this call. */
  fault: string | null;
}

/** What to return from the journal; all given parts must match. */
export interface JournalQuery {
  vendor?: VendorName;
  company?: string;
  operation?: string;
  method?: string;
  actor?: string;
  /** Only POST, PUT, PATCH and DELETE, without Umbrella's token endpoint (it creates nothing that lasts). */
  writes?: boolean;
  /** Only entries with a greater `seq`. */
  since?: number;
}

/** Exact numbers of calls since the last clear, however short the journal's memory is. */
export interface JournalCounts {
  total: number;
  /** By company; calls of nobody known are under `-`. */
  byCompany: Record<string, number>;
  /** By `METHOD /path/template`; calls of no known operation are under `METHOD -`. */
  byOperation: Record<string, number>;
  /** By company, then by `METHOD /path/template`. */
  byCompanyAndOperation: Record<string, Record<string, number>>;
}

/** An entry with bodies as text, so that nothing is parsed before somebody asks. */
export interface RawEntry extends Omit<JournalEntry, 'requestBody' | 'responseBody'> {
  requestText: string;
  responseText: string;
}

/** Bodies of at most so many characters are kept in all; older ones are forgotten first. */
const BODY_BUDGET = 64 * 1024 * 1024;

function parsed(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isWrite(entry: RawEntry): boolean {
  return entry.method !== 'GET' && entry.method !== 'HEAD' && entry.operation !== '/auth/v2/token';
}

/** The bounded record of calls, with exact counters beside it. */
export class Journal {
  readonly #limit: number;
  #entries: RawEntry[] = [];
  #head = 0;
  #bodyTail = 0;
  #bodySize = 0;
  #seq = 0;
  #total = 0;
  #counts = new Map<string, Map<string, number>>();

  /** Keeps the last `limit` calls; 0 keeps only the counters. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Records an arrived call; the returned entry is completed by `finish` once the answer is known. */
  begin(entry: Omit<RawEntry, 'seq' | 'status' | 'responseText' | 'applied' | 'fault'>): RawEntry {
    this.#seq += 1;
    const kept: RawEntry = {
      ...entry,
      seq: this.#seq,
      status: null,
      responseText: '',
      applied: false,
      fault: null,
    };
    this.#count(kept);
    if (this.#limit > 0) {
      this.#entries.push(kept);
      this.#grow(kept.requestText.length);
      this.#trim();
    }
    return kept;
  }

  /** Completes an entry with what was sent; `status` null: nothing was sent. */
  finish(entry: RawEntry, status: number | null, responseText: string): void {
    entry.status = status;
    if (this.#limit === 0) return;
    entry.responseText = responseText;
    this.#grow(responseText.length);
  }

  /** The kept calls that match, oldest first. */
  query(query: JournalQuery = {}): JournalEntry[] {
    const found: JournalEntry[] = [];
    for (let i = this.#head; i < this.#entries.length; i += 1) {
      const entry = this.#entries[i];
      if (entry === undefined) continue;
      if (query.vendor !== undefined && entry.vendor !== query.vendor) continue;
      if (query.company !== undefined && entry.company !== query.company) continue;
      if (query.operation !== undefined && entry.operation !== query.operation) continue;
      if (query.method !== undefined && entry.method !== query.method) continue;
      if (query.actor !== undefined && entry.actor !== query.actor) continue;
      if (query.since !== undefined && entry.seq <= query.since) continue;
      if (query.writes === true && !isWrite(entry)) continue;
      const { requestText, responseText, ...rest } = entry;
      found.push({ ...rest, requestBody: parsed(requestText), responseBody: parsed(responseText) });
    }
    return found;
  }

  /** Exact numbers since the last clear. */
  counts(): JournalCounts {
    const byCompany: Record<string, number> = {};
    const byOperation: Record<string, number> = {};
    const byCompanyAndOperation: Record<string, Record<string, number>> = {};
    for (const [company, operations] of this.#counts) {
      const own: Record<string, number> = {};
      let sum = 0;
      for (const [operation, number] of operations) {
        own[operation] = number;
        sum += number;
        byOperation[operation] = (byOperation[operation] ?? 0) + number;
      }
      byCompany[company] = sum;
      byCompanyAndOperation[company] = own;
    }
    return { total: this.#total, byCompany, byOperation, byCompanyAndOperation };
  }

  /** Forgets all calls and counts; `seq` goes on, so that `since` stays meaningful. */
  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bodyTail = 0;
    this.#bodySize = 0;
    this.#total = 0;
    this.#counts.clear();
  }

  #count(entry: RawEntry): void {
    this.#total += 1;
    const company = entry.company ?? '-';
    let operations = this.#counts.get(company);
    if (operations === undefined) this.#counts.set(company, (operations = new Map()));
    const name = `${entry.method} ${entry.operation ?? '-'}`;
    operations.set(name, (operations.get(name) ?? 0) + 1);
  }

  #grow(characters: number): void {
    this.#bodySize += characters;
    while (this.#bodySize > BODY_BUDGET && this.#bodyTail < this.#entries.length) {
      const oldest = this.#entries[this.#bodyTail];
      this.#bodyTail += 1;
      if (oldest !== undefined) this.#forgetBodies(oldest);
    }
  }

  #forgetBodies(entry: RawEntry): void {
    this.#bodySize -= entry.requestText.length + entry.responseText.length;
    entry.requestText = '';
    entry.responseText = '';
  }

  #trim(): void {
    if (this.#entries.length - this.#head <= this.#limit) return;
    const oldest = this.#entries[this.#head];
    if (oldest !== undefined) this.#forgetBodies(oldest);
    this.#head += 1;
    this.#bodyTail = Math.max(this.#bodyTail, this.#head);
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#bodyTail -= this.#head;
      this.#head = 0;
    }
  }
}
