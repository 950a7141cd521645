import { html, Markup } from './html.ts';

const STYLE = `
:root { --ink:#1d2733; --soft:#5b6875; --line:#dbe1e8; --card:#fff; --page:#f3f5f8; --accent:#0b66c3; --good:#157347; --bad:#b42318; }
* { box-sizing:border-box }
body { margin:0; background:var(--page); color:var(--ink); font:15px/1.5 system-ui,sans-serif }
header { background:#12263a; color:#fff; padding:.9rem 1.5rem; display:flex; gap:1rem; align-items:baseline }
header a { color:#fff; font-weight:600; text-decoration:none } header span { color:#a9bccf }
main { max-width:1150px; margin:1.2rem auto; padding:0 1rem; display:grid; gap:1rem }
section { background:var(--card); border:1px solid var(--line); border-radius:8px; padding:1rem 1.2rem }
h1 { font-size:1.35rem; margin:0 } h2 { font-size:1.05rem; margin:0 0 .6rem } h3 { font-size:.95rem; margin:1rem 0 .4rem }
p { margin:.3rem 0 } .soft { color:var(--soft) } .good { color:var(--good) } .bad { color:var(--bad) }
table { border-collapse:collapse; width:100% } th,td { text-align:left; padding:.3rem .5rem; border-bottom:1px solid var(--line); vertical-align:middle }
th { color:var(--soft); font-weight:600; font-size:.85rem } code { background:#eef2f6; padding:.1rem .3rem; border-radius:4px }
form { display:inline-flex; gap:.4rem; align-items:center; flex-wrap:wrap; margin:.15rem 0 }
form.block { display:block } label { color:var(--soft); font-size:.85rem }
input,select,button { font:inherit; padding:.25rem .5rem; border:1px solid #b9c3cd; border-radius:5px; background:#fff }
button { background:var(--accent); border-color:var(--accent); color:#fff; cursor:pointer }
button.plain { background:#fff; color:var(--ink); border-color:#b9c3cd } button.danger { background:#fff; color:var(--bad); border-color:var(--bad) }
.notice { border-left:4px solid var(--accent) } .notice.error { border-color:var(--bad) }
details summary { cursor:pointer; color:var(--accent); margin:.3rem 0 } .opened { border-top:3px solid var(--accent); margin-top:1rem; padding-top:.8rem }
.items { columns:3 } .items label { display:block; color:var(--ink) }
`;

/** A whole page; `notices` come first. */
export function layout(title: string, notices: readonly Markup[], content: Markup): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} - simulated vendors</title>
        <style>
          ${new Markup(STYLE)}
        </style>
      </head>
      <body>
        <header>
          <a href="/">Simulated vendors</a
          ><span>You are the technician: what you do here, no API can do.</span>
        </header>
        <main>${notices}${content}</main>
      </body>
    </html>`.text;
}

/** A button in a form of its own, with hidden values. */
export function button(
  action: string,
  label: string,
  values: Record<string, string> = {},
  kind: '' | 'plain' | 'danger' = '',
): Markup {
  const hidden = Object.entries(values).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  );
  return html`<form method="post" action="${action}">
    ${hidden}<button class="${kind}">${label}</button>
  </form>`;
}

/** A drop-down list. */
export function select(name: string, options: readonly string[], chosen: string): Markup {
  const rows = options.map((option) =>
    option === chosen ? html`<option selected>${option}</option>` : html`<option>${option}</option>`,
  );
  return html`<select name="${name}" aria-label="${name}">
    ${rows}
  </select>`;
}
