import { pino, type Logger } from 'pino';

/** What is kept for a reader that stands still, in bytes; beyond it lines are dropped, and counted. */
const MOST_BYTES = 16 * 1024 * 1024;

export interface LogOptions {
  level: string;
  /** A file descriptor. Default: standard output. */
  to?: number;
  /** Default: 16 MiB. */
  mostBytes?: number;
}

/**
 * The service's log, a JSON object a line. Lines are gathered for a moment, since to write each by itself takes longer
 * than to answer what it tells of; a warning leaves at once, and what is left as the process ends. A reader that stands
 * still neither stops the service nor fills its memory: lines are dropped then, and how many is told once it reads again.
 */
export function createLog({ level, to = 1, mostBytes = MOST_BYTES }: LogOptions): Logger {
  const lines = pino.destination({
    dest: to,
    sync: false,
    minLength: 4_096,
    periodicFlush: 50,
    maxLength: mostBytes,
  });
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      hooks: {
        logMethod(words, write, weight) {
          write.apply(this, words);
          if (weight >= pino.levels.values['warn']!) lines.flush();
        },
      },
    },
    lines,
  );
  let dropped = 0;
  lines.on('drop', () => (dropped += 1));
  lines.on('drain', () => {
    if (dropped === 0) return;
    const count = dropped;
    dropped = 0;
    log.warn({ lines: count }, 'lines of this log were dropped: nobody read it');
  });
  return log;
}
