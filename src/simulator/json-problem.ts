/** Where and why text is not JSON, in the words of Python's decoder, which vLLM passes on. Runs only on bad input. */

export type JsonProblem = { position: number; message: string };

class Problem extends Error {
  readonly position: number;
  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const WORD = /true|false|null|NaN|-?Infinity/y;

/** Undefined when Python would take it. */
export function findJsonProblem(text: string): JsonProblem | undefined {
  try {
    const end = skipSpace(text, value(text, skipSpace(text, 0), 0));
    return end === text.length ? undefined : { position: end, message: "Extra data" };
  } catch (error) {
    if (error instanceof Problem) return { position: error.position, message: error.message };
    throw error;
  }
}

function skipSpace(text: string, at: number): number {
  let end = at;
  while (end < text.length && " \t\n\r".includes(text[end]!)) end++;
  return end;
}

function value(text: string, at: number, depth: number): number {
  if (depth > 900) throw new Problem("Too deeply nested", at);
  const first = text[at];
  if (first === '"') return string(text, at);
  if (first === "{") return object(text, at, depth);
  if (first === "[") return array(text, at, depth);
  for (const pattern of [WORD, NUMBER]) {
    pattern.lastIndex = at;
    if (pattern.test(text)) return pattern.lastIndex;
  }
  throw new Problem("Expecting value", at);
}

function object(text: string, at: number, depth: number): number {
  let next = skipSpace(text, at + 1);
  if (text[next] === "}") return next + 1;
  for (;;) {
    if (text[next] !== '"') throw new Problem("Expecting property name enclosed in double quotes", next);
    const colon = skipSpace(text, string(text, next));
    if (text[colon] !== ":") throw new Problem("Expecting ':' delimiter", colon);
    const end = skipSpace(text, value(text, skipSpace(text, colon + 1), depth + 1));
    if (text[end] === "}") return end + 1;
    if (text[end] !== ",") throw new Problem("Expecting ',' delimiter", end);
    next = skipSpace(text, end + 1);
  }
}

function array(text: string, at: number, depth: number): number {
  let next = skipSpace(text, at + 1);
  if (text[next] === "]") return next + 1;
  for (;;) {
    const end = skipSpace(text, value(text, next, depth + 1));
    if (text[end] === "]") return end + 1;
    if (text[end] !== ",") throw new Problem("Expecting ',' delimiter", end);
    next = skipSpace(text, end + 1);
  }
}

function string(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const char = text[i]!;
    if (char === '"') return i + 1;
    if (char < " ") throw new Problem("Invalid control character at", i);
    if (char !== "\\") continue;
    i++;
    const escape = text[i];
    if (escape === undefined) break;
    if (escape === "u") {
      if (!/^[\da-fA-F]{4}$/.test(text.slice(i + 1, i + 5))) throw new Problem("Invalid \\uXXXX escape", i);
      i += 4;
    } else if (!'"\\/bfnrt'.includes(escape)) throw new Problem("Invalid \\escape", i - 1);
  }
  throw new Problem("Unterminated string starting at", at);
}
