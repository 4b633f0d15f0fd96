/**
 * Reads the chunks of a stream that differ from the one before only in their text and their counts, without parsing them: nearly
 * all of an answer. A chunk is taken only when every other byte of it is the same as in a chunk that was parsed.
 *
 * What is a text and what is a count is proved, not guessed: the parsed chunk's JSON with other values in their places must
 * parse into the same object with those values. See decisions/0110-what-speed-cost-and-gained.md.
 */
import type { UsageReport } from "../conversation/usage.ts";
import { readUsage } from "./usage-report.ts";

export type TextField = "content" | "reasoning" | "reasoning_content";

export type ChunkShape = {
  choices?: unknown;
  usage?: unknown;
};

/** What a chunk says that fits the template. `text` may be empty. */
export type FittingChunk = { field: TextField; text: string; report: UsageReport | undefined };

type Template = {
  field: TextField;
  /** All before the text, its opening quote included. */
  head: string;
  /** Between the text and the first count, between counts, behind the last; all after the text where there are none. */
  pieces: readonly string[];
  /** Which of the counts each figure of the report is, or its value where that does not change. */
  figures: readonly (readonly [name: keyof UsageReport, count: number])[];
  reports: boolean;
};

const TEXT_FIELDS: readonly TextField[] = ["content", "reasoning", "reasoning_content"];
const FIGURES: readonly (keyof UsageReport)[] = ["prompt", "completion", "cached", "reasoning"];
/** Templates that were learnt in vain before the stream is taken for one whose chunks are all different. */
const MOST_IN_VAIN = 4;
/** Chunks that a template must have fitted to have been worth learning. */
const WORTH = 4;
/** In the place of the text; no engine writes it. */
const PROBE = "\u007fprobe\u007f";
/** In the places of the counts: this, and the ones above it. */
const PROBE_COUNT = 8_000_000_000_000_000;
const QUOTE = 34;
const BACKSLASH = 92;
const ESCAPES = new Set(Array.from('"\\/bfnrt', (letter) => letter.charCodeAt(0)));
const SPACE = 32;
const ZERO = 48;
const NINE = 57;
/** Digits of a count that is surely below 2^53. */
const MOST_DIGITS = 15;

export class ChunkTemplate {
  #template: Template | undefined;
  #fitted = 0;
  #inVain = 0;
  readonly #counts: number[] = [];

  /** The chunk's text and counts; undefined where it must be parsed. `data` is JSON whose text is carried as bytes. */
  read(data: string): FittingChunk | undefined {
    const template = this.#template;
    if (template === undefined || !data.startsWith(template.head)) return undefined;
    const start = template.head.length;
    const end = endOfText(data, start);
    if (end < 0 || !this.#fits(data, end, template)) return undefined;
    this.#fitted++;
    const literal = data.slice(start, end);
    const text = literal.includes("\\") ? (JSON.parse(`"${literal}"`) as string) : literal;
    return { field: template.field, text, report: template.reports ? this.#report(template) : undefined };
  }

  /** Learns from a chunk that did not fit and was parsed. `data` is what it was parsed from. */
  learn(data: string, chunk: ChunkShape): void {
    if (this.#inVain >= MOST_IN_VAIN) return;
    const field = onlyText(chunk);
    if (field === undefined) return;
    if (this.#fitted < WORTH) this.#inVain++;
    else this.#inVain = 0;
    this.#fitted = 0;
    this.#template = templateOf(data, chunk, field);
  }

  /** Whether everything from the text's closing quote on is as in the template; the counts are then in `#counts`. */
  #fits(data: string, from: number, { pieces }: Template): boolean {
    let at = from;
    for (let index = 0; index < pieces.length; index++) {
      if (index > 0) {
        const first = data.charCodeAt(at);
        const begin = at;
        let value = 0;
        for (let code = first; code >= ZERO && code <= NINE; code = data.charCodeAt(++at))
          value = value * 10 + code - ZERO;
        const digits = at - begin;
        if (digits === 0 || digits > MOST_DIGITS || (first === ZERO && digits > 1)) return false;
        this.#counts[index - 1] = value;
      }
      const piece = pieces[index]!;
      if (!data.startsWith(piece, at)) return false;
      at += piece.length;
    }
    return at === data.length;
  }

  #report({ figures }: Template): UsageReport {
    const report: UsageReport = {};
    for (const [name, count] of figures) report[name] = this.#counts[count]!;
    return report;
  }
}

/** Where the text ends that begins here; -1 where it has what only a parser should judge. */
function endOfText(data: string, start: number): number {
  for (let at = start; at < data.length; at++) {
    const code = data.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code < SPACE) return -1;
    // `\u` is not among them: it stands for a code point, and the rest are bytes.
    if (code === BACKSLASH && !ESCAPES.has(data.charCodeAt(++at))) return -1;
  }
  return -1;
}

/** The name of the only text of a chunk that says nothing else, if it is such a chunk. */
function onlyText({ choices }: ChunkShape): TextField | undefined {
  if (!Array.isArray(choices) || choices.length !== 1) return undefined;
  const choice = choices[0] as { index?: unknown; delta?: unknown; finish_reason?: unknown } | null;
  if (choice === null || (choice.index !== undefined && choice.index !== 0)) return undefined;
  if (choice.finish_reason !== undefined && choice.finish_reason !== null) return undefined;
  const delta = choice.delta as Record<string, unknown> | null | undefined;
  if (typeof delta !== "object" || delta === null) return undefined;
  let found: TextField | undefined;
  for (const name in delta) {
    const value = delta[name];
    if (value === null || name === "role") continue;
    const field = TEXT_FIELDS.find((each) => each === name);
    if (field === undefined || found !== undefined || typeof value !== "string") return undefined;
    found = field;
  }
  return found;
}

function templateOf(data: string, chunk: ChunkShape, field: TextField): Template | undefined {
  const mark = `"${field}":`;
  let head = data.indexOf(mark) + mark.length;
  if (head < mark.length) return undefined;
  if (data.charCodeAt(head) === SPACE) head++;
  if (data.charCodeAt(head) !== QUOTE) return undefined;
  const end = endOfText(data, ++head);
  if (end < 0) return undefined;
  const rest = data.slice(end);
  const usage = rest.indexOf('"usage":');
  const pieces = usage < 0 ? [rest] : aroundCounts(rest, usage);
  const template = { field, head: data.slice(0, head), pieces };
  return proved(template, data, chunk);
}

/** Cuts out each whole number from there on; those before it are not counts. */
function aroundCounts(rest: string, from: number): string[] {
  const pieces: string[] = [];
  let begin = 0;
  for (const { 0: digits, index } of rest.slice(from).matchAll(/(?<=: ?)\d+(?=[,}])/g)) {
    pieces.push(rest.slice(begin, from + index));
    begin = from + index + digits.length;
  }
  pieces.push(rest.slice(begin));
  return pieces;
}

/** The template if other values in its places are read as just those values, and nothing else changes by it. */
function proved(
  { field, head, pieces }: Pick<Template, "field" | "head" | "pieces">,
  data: string,
  original: ChunkShape,
): Template | undefined {
  const probe = pieces.map((piece, index) => (index === 0 ? piece : `${PROBE_COUNT + index - 1}${piece}`)).join("");
  let probed: ChunkShape;
  try {
    probed = JSON.parse(head + PROBE + probe) as ChunkShape;
  } catch {
    return undefined;
  }
  if (onlyText(probed) !== field || textOf(probed, field) !== PROBE) return undefined;
  const isProbe = (value: number): boolean => value >= PROBE_COUNT && value < PROBE_COUNT + pieces.length - 1;
  const figures: [keyof UsageReport, number][] = [];
  const report = readUsage(probed.usage);
  for (const name of FIGURES) {
    const value = report?.[name];
    if (value === undefined) continue;
    if (!isProbe(value)) return undefined;
    figures.push([name, value - PROBE_COUNT]);
  }
  // The places are those of this chunk's own text and counts, and of no others.
  let count = 0;
  const counts = countsOf(data, head.length, pieces);
  const back = JSON.stringify(probed, (_key, value: unknown) => {
    if (value === PROBE) return textOf(original, field);
    if (typeof value === "number" && isProbe(value)) return counts[(count++, value - PROBE_COUNT)];
    return value;
  });
  if (back !== JSON.stringify(original) || count !== pieces.length - 1) return undefined;
  return { field, head, pieces, figures, reports: report !== undefined };
}

function textOf({ choices }: ChunkShape, field: TextField): unknown {
  return (choices as { delta: Record<TextField, unknown> }[])[0]?.delta[field];
}

/** The numbers that stand between the pieces. */
function countsOf(data: string, head: number, pieces: readonly string[]): number[] {
  let at = endOfText(data, head) + pieces[0]!.length;
  return pieces.slice(1).map((piece) => {
    const digits = /^\d+/.exec(data.slice(at))![0];
    at += digits.length + piece.length;
    return Number(digits);
  });
}
