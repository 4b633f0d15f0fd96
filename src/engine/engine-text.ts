/** An engine's own words, made fit for a client: one line, bounded, without stacks, file paths or echoed input. */

const LONGEST = 400;
/** How much of a text is looked at; what engines say to people stands at the front. */
const LOOKED_AT = 4_000;

/** Cleans what an engine said; an empty string when nothing readable is left. */
export function cleanEngineText(text: string): string {
  const head = text.slice(0, LOOKED_AT);
  const said = /<html|<!doctype/i.test(head) ? htmlTitle(head) : withoutStack(validationErrors(head) ?? head);
  const line = said
    .replace(/[\p{Cc}\s]+/gu, " ")
    // vLLM names the parameter twice: in the text and, with its value, behind it.
    .replace(/ \(parameter=[^()]*\)$/, "")
    .replace(/(?<![\w:/])(?:\/[\w.@+-]+){2,}\/?|\b[A-Za-z]:\\[\w.@+\\ -]+/g, "…")
    .trim();
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}

function htmlTitle(html: string): string {
  return /<title>([^<]*)<\/title>/i.exec(html)?.[1] ?? "";
}

/** Everything before a Python, C++ or JavaScript stack. */
function withoutStack(text: string): string {
  return text.split(/Traceback \(most recent call last\)|^\s+at .+:\d+\)?$|\n\s*File "|\n#0 /m, 1)[0] ?? "";
}

/** Pydantic's report, as `field: what is wrong`; it would echo the client's input otherwise. */
function validationErrors(text: string): string | undefined {
  if (!/^\d+ validation errors?/.test(text)) return undefined;
  const found = [...text.matchAll(/'loc': '?([^',]*)'?, 'msg': (?:'([^']*)'|"([^"]*)")/g)];
  if (found.length === 0) return text.replace(/^\d+ validation errors?:?\s*/, "").replace(/ *\[type=.*/s, "");
  return found.map(([, field, message, quoted]) => `${field}: ${message ?? quoted}`).join("; ");
}
