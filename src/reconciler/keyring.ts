/**
 * What the vault needs of the store: which key-encryption keys were ever used, and, to change the key, every text
 * that is sealed under one. Each method is one transaction.
 */

/** One key-encryption key, by its name; the key itself is never in the database. */
export interface KekRecord {
  kid: string;
  /** When it was first used here. */
  createdAt: string;
  /** From then on nothing new is sealed under it; null: it is the one in use. */
  retiredAt: string | null;
  /** A known text, sealed under it: opening it proves the key. Null: nothing is sealed under it any more. */
  check: string | null;
}

/** A sealed text where it lies. */
export interface SealedText {
  table: string;
  id: string;
  sealed: string;
}

export interface Keyring {
  /** Every key that was ever used here, oldest first; none: nothing was ever sealed. */
  keys(): Promise<KekRecord[]>;
  /** Keeps the check of the first key, unless there is one already; returns what stands then. */
  first(kid: string, check: string): Promise<KekRecord[]>;
  /** How many texts are sealed under each key; `kid` is null for those that do not say it. */
  counts(): Promise<{ kid: string | null; count: number }[]>;
  /** Texts that are sealed under a key (or under any but that), in a fixed order, after that one. */
  page(
    which: { under: string } | { notUnder: string },
    after: Omit<SealedText, 'sealed'> | null,
    limit: number,
  ): Promise<SealedText[]>;
  /** From now on everything is sealed under this key, and nothing new under another. */
  begin(kid: string, check: string): Promise<void>;
  /** Puts `by` in a text's place where it still is that text; how many were replaced. */
  replace(texts: (SealedText & { by: string })[]): Promise<number>;
  /** Nothing is sealed under any other key than this one any more: what proves the others goes. */
  finish(kid: string): Promise<void>;
}

/** How far a change of key is: texts sealed anew, or opened once more at the end. */
export interface RekeyProgress {
  step: 'seal' | 'check';
  done: number;
  total: number;
}

/** Who works with the database: any number of services share it; who changes the key has it alone. */
export interface Occupancy {
  /** Shares the database until it is released; null: somebody has it alone. */
  share(session: Session): Promise<Release | null>;
  /** Has it alone until it is released, or tells who uses it, one line each. */
  alone(): Promise<{ ok: true; release: Release } | { ok: false; by: string[] }>;
}
/** Who shares the database, shown to all others by a connection that may be lost. */
export interface Session {
  /** The owner of claims; as soon as the connection is gone, others take them over. Null: it claims nothing. */
  owner: string | null;
  onLost: () => void;
  /**
   * It is there again, each time that it was lost; `alone`: somebody has the database alone now. Where what is to be
   * looked at then could not be, it is let go, and had anew.
   */
  onReturn: (alone: boolean) => Promise<void>;
}
export type Release = () => Promise<void>;
