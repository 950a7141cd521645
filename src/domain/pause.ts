/** A pause that a person set, apart from the spec: applying the spec again does not undo it. */
export interface Pause {
  by: string;
  reason: string;
  /** ISO 8601; `until` null: until somebody resumes. */
  since: string;
  until: string | null;
  /** Ms until its time is up, by the database's clock as it was read; null: it has no end of its own. */
  leftMs: number | null;
}

/** One whose time is up holds nothing any more, told or not. */
export const isOn = (pause: Pause | null): pause is Pause =>
  pause !== null && (pause.leftMs === null || pause.leftMs > 0);

/** `Jo paused it until 2026-12-01T06:00:00.000Z (maintenance)` */
export const pauseWords = ({ by, reason, until }: Pause): string =>
  `${by} paused it${until === null ? '' : ` until ${until}`} (${reason})`;
