/** What an error of a port says of itself: whether the same call may work later, as nothing but its time was wrong. */
export interface Passing {
  readonly passes: boolean;
}

/** Whether what was thrown says that the same may work later. */
export const isPassing = (error: unknown): boolean =>
  error instanceof Error && 'passes' in error && error.passes === true;
