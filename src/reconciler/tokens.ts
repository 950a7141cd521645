import { parseDuration } from '../domain/duration.ts';
import { conflict, done, invalid, refused } from './answers.ts';
import type { Commands, TokenView } from './commands.ts';
import type { Desk, Ids, StoredToken } from './ports.ts';

/** What people ask of tokens. */

const noToken = () => refused({ kind: 'not-found', what: 'There is no such token.' });

/** Names that the configuration's tokens have, and Parasol itself: the audit tells them apart. */
const RESERVED = ['admin', 'reveal', 'parasol', 'nobody', 'automation'];

export const tokenCommands = ({
  desk,
  ids,
}: {
  desk: Desk;
  ids: Ids;
}): Pick<Commands, 'tokens' | 'createToken' | 'revokeToken'> => ({
  tokens: async () => (await desk.tokens()).map(tokenView),

  async createToken({ expires, ...request }) {
    if (RESERVED.includes(request.name)) {
      return invalid([{ path: 'name', message: 'is a name of Parasol’s own: choose another' }]);
    }
    const forMs = expires === null ? null : parseDuration(expires);
    if (forMs === 0) return invalid([{ path: 'expires', message: 'must be longer than nothing' }]);
    const added = await desk.addToken({ ...request, id: ids.next(), forMs });
    if (added.ok) return done(tokenView(added.token));
    switch (added.because) {
      case 'stronger':
        return invalid(added.problems);
      case 'name-taken':
        return conflict(`There is a token ${request.name} already: choose another name, or revoke that one.`);
      case 'not-a-token':
        return conflict('The token that asks is no longer one.');
    }
  },

  async revokeToken(id, reason) {
    const revoked = await desk.revokeToken(id, reason);
    if (revoked.ok) return done(tokenView(revoked.token));
    if (revoked.because === 'not-found') return noToken();
    return conflict(
      'The configuration gives this token: change PARASOL_ADMIN_TOKEN or PARASOL_REVEAL_TOKEN (or its file), and start again.',
    );
  },
});

const tokenView = ({ scope, ...token }: StoredToken): TokenView => ({
  ...token,
  scope: scope && {
    tenants: scope.tenants,
    labels: scope.labels.map(({ key, value }) => (value === null ? key : `${key}=${value}`)),
  },
});
