/** Decides whether a row is in the answer. */
export type Predicate = (row: object) => boolean;

/** The text is not a valid `conditions` expression; ConnectWise answers 400. */
export class ConditionSyntaxError extends Error {
  override name = 'ConditionSyntaxError';
}

type Literal =
  | { kind: 'string'; value: string }
  | { kind: 'number'; value: number }
  | { kind: 'date'; value: number }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'null' };

type OrderedLiteral = Exclude<Literal, { kind: 'boolean' | 'null' }>;

type Token =
  | { kind: 'literal'; literal: Literal }
  | { kind: 'word'; text: string }
  | { kind: 'symbol'; text: string }
  | { kind: 'end' };

const SYMBOLS = ['<=', '>=', '!=', '=', '<', '>', '(', ')', ','];
const CACHE_LIMIT = 512;
/** By object type, since the same text may be valid for one type and not for another. */
const compiled = new WeakMap<ReadonlySet<string>, Map<string, Predicate>>();

/**
 * Compiles a `conditions` parameter (domain.md §4): strings in quotes, numbers, dates in brackets,
 * True/False/null, paths as `type/name`, `= != < <= > >= contains like in not AND OR`, parentheses.
 * Text is compared without regard to case, as ConnectWise's database does.
 *
 * @param allowedRoots first parts of the paths that the object type has; others are a syntax error
 * @throws ConditionSyntaxError
 */
export function compileConditions(text: string, allowedRoots: ReadonlySet<string>): Predicate {
  let cache = compiled.get(allowedRoots);
  if (cache === undefined) compiled.set(allowedRoots, (cache = new Map()));
  const known = cache.get(text);
  if (known !== undefined) return known;
  const predicate = new Parser(tokenize(text), allowedRoots).parse();
  if (cache.size >= CACHE_LIMIT) cache.clear();
  cache.set(text, predicate);
  return predicate;
}

function root(path: string): string {
  return path.split('/', 1)[0] ?? path;
}

function isOperatorWord(text: string): boolean {
  return /^(and|or|not|in|like|contains)$/i.test(text);
}

/** The value at `type/name` or `_info/lastUpdated`; undefined when some part is absent. */
export function valueAt(row: object, path: readonly string[]): unknown {
  let value: unknown = row;
  for (const part of path) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at] ?? '';
    if (/\s/.test(character)) {
      at += 1;
    } else if (character === '"' || character === "'") {
      const [value, next] = quoted(text, at, character);
      tokens.push({ kind: 'literal', literal: { kind: 'string', value } });
      at = next;
    } else if (character === '[') {
      const end = text.indexOf(']', at);
      if (end < 0) throw new ConditionSyntaxError('A date is not closed by ]');
      tokens.push({ kind: 'literal', literal: { kind: 'date', value: instant(text.slice(at + 1, end)) } });
      at = end + 1;
    } else {
      const [token, next] = bareToken(text, at);
      tokens.push(token);
      at = next;
    }
  }
  tokens.push({ kind: 'end' });
  return tokens;
}

function quoted(text: string, start: number, quote: string): [value: string, next: number] {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] ?? '';
    const following = text[at + 1];
    if (character === '\\' && (following === quote || following === '\\')) {
      value += following;
      at += 1;
    } else if (character !== quote) {
      value += character;
    } else if (following === quote) {
      value += quote;
      at += 1;
    } else {
      return [value, at + 1];
    }
  }
  throw new ConditionSyntaxError('A string is not closed');
}

function bareToken(text: string, at: number): [Token, number] {
  const symbol = SYMBOLS.find((one) => text.startsWith(one, at));
  if (symbol !== undefined) return [{ kind: 'symbol', text: symbol }, at + symbol.length];
  const rest = text.slice(at);
  const number = /^-?\d+(\.\d+)?(?![\w/])/.exec(rest)?.[0];
  if (number !== undefined) {
    return [{ kind: 'literal', literal: { kind: 'number', value: Number(number) } }, at + number.length];
  }
  const word = /^[A-Za-z_]\w*(\/[A-Za-z_]\w*)*/.exec(rest)?.[0];
  if (word === undefined) throw new ConditionSyntaxError(`Unexpected character '${rest[0]}'`);
  const next = at + word.length;
  if (/^(true|false)$/i.test(word)) {
    return [{ kind: 'literal', literal: { kind: 'boolean', value: /^true$/i.test(word) } }, next];
  }
  if (/^null$/i.test(word)) return [{ kind: 'literal', literal: { kind: 'null' } }, next];
  return [{ kind: 'word', text: word }, next];
}

function instant(text: string): number {
  const value = Date.parse(/[zZ]|[+-]\d\d:\d\d$/.test(text) || !text.includes('T') ? text : `${text}Z`);
  if (Number.isNaN(value)) throw new ConditionSyntaxError(`'${text}' is not a date`);
  return value;
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #roots: ReadonlySet<string>;
  #at = 0;

  constructor(tokens: readonly Token[], roots: ReadonlySet<string>) {
    this.#tokens = tokens;
    this.#roots = roots;
  }

  parse(): Predicate {
    const predicate = this.#either();
    if (this.#peek().kind !== 'end') throw new ConditionSyntaxError('Something follows the expression');
    return predicate;
  }

  #either(): Predicate {
    let left = this.#both();
    while (this.#takeWord('or')) {
      const [first, second] = [left, this.#both()];
      left = (row) => first(row) || second(row);
    }
    return left;
  }

  #both(): Predicate {
    let left = this.#unary();
    while (this.#takeWord('and')) {
      const [first, second] = [left, this.#unary()];
      left = (row) => first(row) && second(row);
    }
    return left;
  }

  #unary(): Predicate {
    if (this.#takeWord('not')) {
      const inner = this.#unary();
      return (row) => !inner(row);
    }
    if (this.#takeSymbol('(')) {
      const inner = this.#either();
      this.#expectSymbol(')');
      return inner;
    }
    return this.#comparison();
  }

  #comparison(): Predicate {
    const token = this.#next();
    if (token.kind !== 'word' || isOperatorWord(token.text)) {
      throw new ConditionSyntaxError('A field name is expected');
    }
    if (!this.#roots.has(root(token.text))) {
      throw new ConditionSyntaxError(`No property or field '${token.text}' exists`);
    }
    const path = token.text.split('/');
    const negated = this.#takeWord('not');
    const test = this.#test();
    return negated ? (row) => !test(valueAt(row, path)) : (row) => test(valueAt(row, path));
  }

  #test(): (value: unknown) => boolean {
    if (this.#takeWord('in')) {
      const values = this.#list();
      return (value) => values.some((one) => equals(value, one));
    }
    if (this.#takeWord('like')) {
      const pattern = wildcard(this.#string());
      return (value) => typeof value === 'string' && pattern.test(value);
    }
    if (this.#takeWord('contains')) {
      const part = this.#string().toLowerCase();
      return (value) => typeof value === 'string' && value.toLowerCase().includes(part);
    }
    const token = this.#next();
    const operator = token.kind === 'symbol' ? token.text : '';
    if (!['=', '!=', '<', '<=', '>', '>='].includes(operator)) {
      throw new ConditionSyntaxError('An operator is expected');
    }
    const literal = this.#literal();
    if (operator === '=') return (value) => equals(value, literal);
    if (operator === '!=') return (value) => !equals(value, literal);
    if (literal.kind === 'boolean' || literal.kind === 'null') {
      throw new ConditionSyntaxError('Only numbers, strings and dates have an order');
    }
    return (value) => ordered(value, operator, literal);
  }

  #list(): Literal[] {
    this.#expectSymbol('(');
    const values = [this.#literal()];
    while (this.#takeSymbol(',')) values.push(this.#literal());
    this.#expectSymbol(')');
    return values;
  }

  #string(): string {
    const literal = this.#literal();
    if (literal.kind !== 'string') throw new ConditionSyntaxError('A string is expected');
    return literal.value;
  }

  #literal(): Literal {
    const token = this.#next();
    if (token.kind !== 'literal') throw new ConditionSyntaxError('A value is expected');
    return token.literal;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end' };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #takeWord(word: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'word' || token.text.toLowerCase() !== word) return false;
    this.#at += 1;
    return true;
  }

  #takeSymbol(symbol: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'symbol' || token.text !== symbol) return false;
    this.#at += 1;
    return true;
  }

  #expectSymbol(symbol: string): void {
    if (!this.#takeSymbol(symbol)) throw new ConditionSyntaxError(`'${symbol}' is expected`);
  }
}

function equals(value: unknown, literal: Literal): boolean {
  switch (literal.kind) {
    case 'null':
      return value === null || value === undefined;
    case 'string':
      return typeof value === 'string' && value.toLowerCase() === literal.value.toLowerCase();
    case 'date':
      return typeof value === 'string' && Date.parse(value) === literal.value;
    case 'boolean':
      // ConnectWise leaves false flags out of some rows; they compare as false all the same.
      return (value ?? false) === literal.value;
    default:
      return value === literal.value;
  }
}

function ordered(value: unknown, operator: string, literal: OrderedLiteral): boolean {
  const difference = compareToLiteral(value, literal);
  if (difference === null) return false;
  if (operator === '<') return difference < 0;
  if (operator === '<=') return difference <= 0;
  return operator === '>' ? difference > 0 : difference >= 0;
}

function compareToLiteral(value: unknown, literal: OrderedLiteral): number | null {
  if (literal.kind === 'number') return typeof value === 'number' ? value - literal.value : null;
  if (typeof value !== 'string') return null;
  if (literal.kind === 'date') return Date.parse(value) - literal.value;
  const [left, right] = [value.toLowerCase(), literal.value.toLowerCase()];
  return left < right ? -1 : Number(left > right);
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replace(/[%*]/g, '.*').replace(/_/g, '.')}$`, 'is');
}
