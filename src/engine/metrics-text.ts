/** Reads samples out of the text format of Prometheus, in which vLLM and SGLang answer `/metrics`. */

export type MetricSample = { name: string; labels: Record<string, string>; value: number };

/** An engine with ten data-parallel ranks has a few hundred of a histogram; more is not read. */
const MOST_SAMPLES = 10_000;
/** Characters of a line; vLLM's longest, of its cache's configuration, has about 1,100. */
const LONGEST_LINE = 16_384;

/**
 * The samples of the `wanted` names (a histogram's are `…_bucket`, `…_sum` and `…_count`), in their order. Lines that are not of the format, or
 * too long, are left out; a value may be NaN or infinite.
 */
export function readMetrics(text: string, wanted: ReadonlySet<string>): MetricSample[] {
  const samples: MetricSample[] = [];
  for (let start = 0; start < text.length && samples.length < MOST_SAMPLES;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    if (end - start <= LONGEST_LINE) {
      const sample = readLine(text.slice(start, end), wanted);
      if (sample !== undefined) samples.push(sample);
    }
    start = end + 1;
  }
  return samples;
}

function readLine(line: string, wanted: ReadonlySet<string>): MetricSample | undefined {
  const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
  if (name === undefined || !wanted.has(name)) return undefined;
  const labels = line[name.length] === "{" ? readLabels(line, name.length + 1) : { read: {}, end: name.length };
  if (labels === undefined) return undefined;
  // Behind the value there may be the time of the sample.
  const value = /^[ \t]*([^ \t\r]+)(?:[ \t]+-?\d+)?[ \t\r]*$/.exec(line.slice(labels.end))?.[1];
  const number = value === undefined ? undefined : readNumber(value);
  return number === undefined ? undefined : { name, labels: labels.read, value: number };
}

const LABEL = /[ \t]*([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,?)/y;
const CLOSING = /[ \t]*\}/y;

/** `at` is behind the opening brace, `end` behind the closing one. */
function readLabels(line: string, at: number): { read: Record<string, string>; end: number } | undefined {
  // A label may have any name, `__proto__` as well.
  const read = Object.create(null) as Record<string, string>;
  for (let place = at; ;) {
    CLOSING.lastIndex = place;
    if (CLOSING.test(line)) return { read: { ...read }, end: CLOSING.lastIndex };
    LABEL.lastIndex = place;
    const label = LABEL.exec(line);
    if (label === null) return undefined;
    const [, name = "", escaped = "", comma] = label;
    read[name] = escaped.replaceAll(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
    place = LABEL.lastIndex;
    if (comma === "" && !/^[ \t]*\}/.test(line.slice(place))) return undefined;
  }
}

function readNumber(text: string): number | undefined {
  const infinite = /^([+-]?)inf(inity)?$/i.exec(text);
  if (infinite) return infinite[1] === "-" ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(text)) return NaN;
  const number = Number(text);
  return Number.isNaN(number) || /[xXoO_]/.test(text) ? undefined : number;
}
