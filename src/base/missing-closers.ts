/** Tells which closing braces and brackets an otherwise valid JSON object lacks at its end. */

const SPACE = /[ \t\n\r]*/y;
const STRING_END = /["\\]/g;
/** A literal or number; whether it is whole shows only in what follows it. */
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=[\s,}\]])/y;

/**
 * `""` for a complete object; undefined for what is cut inside a string, number, literal or key, after a comma, a colon or an opener,
 * or is no JSON object: no value is ever invented.
 */
export function missingClosers(json: string): string | undefined {
  let at = skip(SPACE, json, 0);
  if (json[at] !== "{") return undefined;
  /** The closers that are due, the next one last. */
  const due: string[] = [];
  for (;;) {
    // Before a value.
    const char = json[at];
    if (char === "{" || char === "[") {
      due.push(char === "{" ? "}" : "]");
      at = skip(SPACE, json, at + 1);
      // At the end of the text what was opened is not known to be empty: no value follows, as behind a comma.
      if (json[at] !== due.at(-1)) {
        const value = due.at(-1) === "}" ? afterKey(json, at) : at;
        if (value === undefined) return undefined;
        at = value;
        continue;
      }
    } else {
      const end = char === '"' ? stringEnd(json, at) : skip(SCALAR, json, at);
      if (end === undefined || end === at) return undefined;
      at = end;
    }
    // Behind a value, or at the end of an empty object.
    for (;;) {
      at = skip(SPACE, json, at);
      if (json[at] !== due.at(-1)) break;
      due.pop();
      at++;
      if (due.length === 0) return skip(SPACE, json, at) === json.length ? "" : undefined;
    }
    if (at === json.length) return closing(due, json);
    if (json[at] !== ",") return undefined;
    at = skip(SPACE, json, at + 1);
    if (due.at(-1) === "}") {
      const value = afterKey(json, at);
      if (value === undefined) return undefined;
      at = value;
    }
  }
}

function closing(due: readonly string[], json: string): string | undefined {
  const closers = due.toReversed().join("");
  try {
    JSON.parse(json + closers);
    return closers;
  } catch {
    return undefined;
  }
}

/** Where the value of the key here begins. */
function afterKey(json: string, at: number): number | undefined {
  if (json[at] !== '"') return undefined;
  const end = stringEnd(json, at);
  if (end === undefined) return undefined;
  const colon = skip(SPACE, json, end);
  return json[colon] === ":" ? skip(SPACE, json, colon + 1) : undefined;
}

function stringEnd(json: string, at: number): number | undefined {
  STRING_END.lastIndex = at + 1;
  for (;;) {
    const found = STRING_END.exec(json);
    if (found === null) return undefined;
    if (found[0] === '"') return found.index + 1;
    STRING_END.lastIndex = found.index + 2;
  }
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
