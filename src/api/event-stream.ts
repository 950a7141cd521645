import type { FastifyReply } from 'fastify';
import type { EventListener, Gap, LoggedEvent } from '../reconciler/commands.ts';

/** Where a reader is behind by more than this it is let go: it comes back, and reads on from where it was. */
const MOST_UNSENT_BYTES = 256 * 1024;
/** Ms after which a client that was cut off comes back. */
const RETRY_MS = 2_000;
/** A stream ends after this, and its client comes back: a token that is no longer one hears no longer than that. */
const MOST_AGE_MS = 600_000;

const frames = new WeakMap<readonly LoggedEvent[], Buffer>();

/** What one list of events looks like on the wire; made once, however many read it. */
function framesOf(events: readonly LoggedEvent[]): Buffer {
  let bytes = frames.get(events);
  if (!bytes) {
    bytes = Buffer.from(
      events.map(({ place, event }) => `id: ${place}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
    );
    frames.set(events, bytes);
  }
  return bytes;
}

/**
 * One client's stream of server-sent events. It keeps no more than what the connection has not taken yet, and no
 * more than a bound of that. Written by hand: a library would format and buffer each event for each client.
 */
export class EventStream implements EventListener {
  readonly #reply: FastifyReply;
  readonly #closed: Promise<false>;
  #begun = false;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
    this.#closed = new Promise((resolve) => reply.raw.once('close', () => resolve(false)));
  }

  /** From here on no problem can be answered any more; does nothing the second time. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#reply.hijack();
    const { raw } = this.#reply;
    for (const [name, value] of Object.entries(this.#reply.getHeaders())) {
      if (value !== undefined) raw.setHeader(name, value);
    }
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      // Proxies that gather answers would hold events back.
      'x-accel-buffering': 'no',
    });
    raw.write(`retry: ${RETRY_MS}\n\n`);
    const old = setTimeout(() => this.end(), MOST_AGE_MS);
    void this.#closed.then(() => clearTimeout(old));
  }

  get begun(): boolean {
    return this.#begun;
  }

  take(events: readonly LoggedEvent[]): void {
    this.#write(framesOf(events));
  }

  /** An id without data moves `Last-Event-ID` and tells nobody anything. */
  beat(place: number): void {
    this.#write(`: alive\nid: ${place}\n\n`);
  }

  gap(gap: Gap): void {
    this.#write(`id: ${gap.resumesAfter}\nevent: gap\ndata: ${JSON.stringify(gapView(gap))}\n\n`);
  }

  async room(): Promise<boolean> {
    const { raw } = this.#reply;
    if (raw.destroyed) return false;
    if (!raw.writableNeedDrain) return true;
    const drained = new Promise<true>((resolve) => raw.once('drain', () => resolve(true)));
    return Promise.race([drained, this.#closed]);
  }

  end(): void {
    this.begin();
    this.#reply.raw.end();
  }

  /** Something broke on this side: the client comes back. */
  cut(): void {
    this.#reply.raw.destroy();
  }

  #write(bytes: Buffer | string): void {
    this.begin();
    const { raw } = this.#reply;
    if (raw.destroyed || raw.writableEnded) return;
    if (raw.writableLength > MOST_UNSENT_BYTES) {
      this.#reply.log.info('a reader of events was too slow, and is let go');
      raw.destroy();
      return;
    }
    raw.write(bytes);
  }
}

const WHY: Record<Gap['because'], string> = {
  pruned: 'Events after that one are past their retention and are no longer kept. Read the status anew.',
  unknown:
    'There is no such event: the database is an older one than that was read from. Read the status anew.',
};

const gapView = ({ because, after, resumesAfter }: Gap) => ({
  because,
  after: String(after),
  resumesAfter: String(resumesAfter),
  message: WHY[because],
});
