import fc from 'fast-check';
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.ts';
import { contextOf, json, pairOf, passFor, serve, specFor, TestClock, vendorsFor } from './harness.ts';

const HTML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** A text as servers, proxies and debuggers write it down. */
function formsOf(text: string): string[] {
  const base64 = Buffer.from(text).toString('base64');
  return [
    text,
    encodeURIComponent(text),
    encodeURIComponent(text).toLowerCase(),
    new URLSearchParams({ '': text }).toString().slice(1),
    JSON.stringify(text).slice(1, -1),
    base64,
    base64.replaceAll('=', ''),
    encodeURIComponent(base64),
    Buffer.from(text).toString('base64url'),
    text.replace(/[&<>"']/g, (sign) => HTML[sign] ?? sign),
  ];
}
const FORMS = formsOf('').length;

/** Everything of a request that is nobody's business, in every form. */
function echoOf({ url = '', headers }: IncomingMessage): string[] {
  const [, encoded = ''] = (headers.authorization ?? '').split(' ');
  const decoded = Buffer.from(encoded, 'base64').toString();
  const colon = decoded.indexOf(':');
  const halves = [decoded, decoded.slice(0, colon), decoded.slice(colon + 1), encoded];
  return [...halves.flatMap(formsOf), url, headers.authorization ?? ''];
}

const WAYS = ['json', 'fields', 'text', 'html', 'header', 'shape'] as const;
const STATUSES = [200, 302, 400, 401, 403, 404, 409, 429, 500, 503];

/** A vendor that answers each call but those that must go well with an echo of it. */
async function echoing(bearer: string) {
  const state = { status: 400, way: 'json' as (typeof WAYS)[number], part: 0 };
  const server = await serve((request, response) => {
    if (request.url?.startsWith('/login/') === true) {
      return json(response, { CompanyName: 'Acme', Codebase: 'v2025_1/' });
    }
    if (request.url === '/auth/v2/token' && state.part % 2 === 0) {
      return json(response, { token_type: 'bearer', access_token: bearer, expires_in: 3_600 });
    }
    const echo = echoOf(request);
    // One form at a time comes first, since details are cut.
    const text = [...echo.slice(state.part), ...echo.slice(0, state.part)].join('\n');
    const headers = { 'x-echo': encodeURIComponent(text), location: `/${encodeURIComponent(text)}` };
    const { status } = state;
    switch (state.way) {
      case 'json':
        return json(response, { code: text, message: text, error: text, description: text }, { status });
      case 'fields':
        return json(
          response,
          { errors: [{ code: text, message: text, field: text, resource: text }] },
          { status },
        );
      case 'shape':
        return json(response, [{ [text]: text, id: text }], { status });
      case 'header':
        return json(response, {}, { status, headers });
      case 'text':
      case 'html':
        response.writeHead(status, { 'content-type': 'text/plain' });
        return response.end(state.way === 'html' ? `<p>${text}</p>` : text);
    }
  });
  return { server, state };
}

const secret = fc.string({
  unit: fc.constantFrom(...Array.from('abcXYZ019-_.~ "\'\\/+=&<>%:äß')),
  minLength: 12,
  maxLength: 40,
});

test('no failure tells any form of a key or token, whatever the vendor echoes and however it fails', async () => {
  const bearer = 'BearerSentinel-0123456789';
  const { server, state } = await echoing(bearer);
  const clock = new TestClock();
  const vendors = vendorsFor({
    clock,
    retries: { times: 0, firstDelayMs: 0 },
    breaker: { failures: 1e9, openMs: 0 },
  });
  const spec = specFor(server.url, server.url);
  const calls: ((pair: ReturnType<typeof pairOf>) => Promise<Outcome<unknown>>)[] = [
    (pair) => vendors.connectwise(spec).reads(pair, contextOf(clock)).roles('Umbrella', []),
    (pair) => vendors.connectwise(spec).writes(pair, contextOf(clock), passFor(1)).createRole('Umbrella'),
    (pair) => vendors.umbrella(spec).customers(pair, contextOf(clock)),
  ];
  let failures = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        publicHalf: secret.filter((half) => !half.includes(':')),
        privateHalf: secret,
        status: fc.constantFrom(...STATUSES),
        way: fc.constantFrom(...WAYS),
        part: fc.nat(4 * FORMS + 1),
        call: fc.constantFrom(...calls),
      }),
      async ({ publicHalf, privateHalf, status, way, part, call }) => {
        Object.assign(state, { status, way, part });
        // A wait that was asked for would end the test of everything after it.
        clock.advance(3_600_000);
        const outcome = await call(pairOf(publicHalf, privateHalf));
        failures += Number(!outcome.ok);
        const told = outcome.ok ? { detail: '' } : outcome.failure;
        const texts = [
          told.detail,
          ...('fields' in told ? told.fields.map((field) => Object.values(field)) : []),
        ].flat();
        const secrets = [publicHalf, privateHalf, bearer, `acme+${publicHalf}:${privateHalf}`];
        const forms = secrets.flatMap(formsOf);
        for (const text of texts) {
          expect(forms.filter((form) => text.includes(form))).toEqual([]);
          expect(text.length).toBeLessThanOrEqual(300);
          expect(text).not.toMatch(/\n/);
        }
      },
    ),
    { numRuns: 500 },
  );
  expect(failures).toBeGreaterThan(300);
});
