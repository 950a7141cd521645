import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A network between a program and its database, that a test takes away. */
export interface Network extends AsyncDisposable {
  /** The database's address through it. */
  url: string;
  /** From now on the database is at this address. */
  retarget(databaseUrl: string): void;
  /** Every connection breaks, and none can be made. */
  cut(): void;
  /** Nothing passes any more, and nobody is told. */
  freeze(): void;
  /** Likewise, and what is sent meanwhile is lost: connections of that time are dead for ever, and do not know it. */
  swallow(): void;
  /** Whatever is sent to the database comes so many milliseconds late. */
  slow(ms: number): void;
  /** Connections break where such words are sent to the database, so many times; what came before has passed. */
  cutAt(words: string, times: number): void;
  /** How often `cutAt` has still to break one. */
  cutsLeft(): number;
  /** Connections that are open. */
  connections(): number;
  /** Those of them that are dead. */
  deadConnections(): number;
  /** As before; what was frozen arrives late. */
  restore(): void;
}

interface Link {
  near: Socket;
  far: Socket;
  dead: boolean;
  sent: Promise<void>;
}

/** Sends what came to the database, not before that time and after what came before. */
async function pass({ sent, far }: Link, bytes: Buffer, at: number): Promise<void> {
  await sent;
  const early = at - performance.now();
  if (early > 0) await sleep(early);
  if (far.writable) far.write(bytes);
}

export async function network(databaseUrl: string): Promise<Network> {
  let target = new URL(databaseUrl);
  const links = new Set<Link>();
  let state: 'up' | 'cut' | 'frozen' | 'swallowing' = 'up';
  let delayMs = 0;
  let cutting = { words: '', times: 0 };

  const server = createServer((near) => {
    near.on('error', () => near.destroy());
    if (state === 'cut') return void near.destroy();
    const far = connect({ host: target.hostname, port: Number(target.port) });
    far.on('error', () => near.destroy());
    const link: Link = { near, far, dead: state === 'swallowing', sent: Promise.resolve() };
    links.add(link);
    near.on('data', (bytes) => {
      if (link.dead) return;
      if (cutting.times > 0 && bytes.includes(cutting.words)) {
        cutting.times -= 1;
        near.destroy();
        return;
      }
      link.sent = pass(link, bytes, performance.now() + delayMs);
    });
    far.on('data', (bytes) => {
      if (!link.dead) near.write(bytes);
    });
    near.on('close', () => {
      links.delete(link);
      far.destroy();
    });
    far.on('close', () => {
      if (!link.dead) near.destroy();
    });
    if (state === 'frozen') for (const socket of [near, far]) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(databaseUrl);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  const destroyAll = () => {
    for (const { near } of links) near.destroy();
  };
  return {
    url: through.href,
    retarget(url) {
      target = new URL(url);
    },
    cut() {
      state = 'cut';
      destroyAll();
    },
    freeze() {
      state = 'frozen';
      for (const { near, far } of links) for (const socket of [near, far]) socket.pause();
    },
    swallow() {
      state = 'swallowing';
      for (const link of links) link.dead = true;
    },
    slow(ms) {
      delayMs = ms;
    },
    cutAt(words, times) {
      cutting = { words, times };
    },
    cutsLeft: () => cutting.times,
    connections: () => links.size,
    deadConnections: () => [...links].filter(({ dead }) => dead).length,
    restore() {
      state = 'up';
      delayMs = 0;
      cutting = { words: '', times: 0 };
      for (const { near, far } of links) for (const socket of [near, far]) socket.resume();
    },
    async [Symbol.asyncDispose]() {
      destroyAll();
      server.close();
      await once(server, 'close');
    },
  };
}
