/** An answer as it leaves. */
export interface Served {
  status: number;
  headers: readonly (readonly [name: string, value: string])[];
  body: Buffer;
  /** How the bytes are sent; absent: as they should be. */
  wire?: Wire;
}

/**
 * `cut`: the connection ends within the body; `short`, `long`: the length that is told is not that of the body;
 * `unframed`: no length, and it ends with the connection; `broken-chunks`; `reset`: nothing but the end of the
 * connection; `noise`: bytes that are no HTTP come first; `twice`: two lengths are told.
 */
export const WIRES = [
  'cut',
  'short',
  'long',
  'unframed',
  'broken-chunks',
  'reset',
  'noise',
  'twice',
] as const;
export type Wire = (typeof WIRES)[number];
