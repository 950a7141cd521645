/** One event of a stream, as the wire has it. */
export interface Streamed {
  /** Where the stream goes on from after it; null: it says nothing of that. */
  id: string | null;
  /** `message` where it has no name. */
  name: string;
  /** Null: it only moves the id. */
  data: string | null;
}

/** Reads server-sent events (WHATWG) off a body of text; a last one that is not complete was never sent. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<Streamed> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
  }
}

/** Null: nothing but comments, or what is for browsers. */
function parse(block: string): Streamed | null {
  const event: Streamed = { id: null, name: 'message', data: null };
  for (const line of block.split('\n')) {
    const [, field, value = ''] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') event.id = value;
    if (field === 'event') event.name = value;
    if (field === 'data') event.data = event.data === null ? value : `${event.data}\n${value}`;
  }
  return event.id === null && event.data === null ? null : event;
}
