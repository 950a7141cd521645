/** Markup that is known to be safe: made by `html`, never from a value. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = Markup | readonly Markup[] | string | number;

/** Builds markup from a template; every value but markup is escaped. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  const inserted = values.map((value, index) => textOf(value) + (parts[index + 1] ?? ''));
  return new Markup((parts[0] ?? '') + inserted.join(''));
}

function textOf(value: Value): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return String(value).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
