/**
 * Directives in prompts: `[[sim:chunks=200,delay=10,pt=1000,ttft=0,text=…]]` asks for an exact answer, whatever the script.
 * For load generators, which can set nothing but a prompt through a gateway.
 */
import type { Plan } from "./answer-plan.ts";
import { byteJson } from "./byte-json.ts";
import type { Turn } from "./script.ts";

const OPENING = "[[sim:";
/** More is a mistake in a number, and would be generated in one go. */
const MOST_CHUNKS = 1_000_000;

export type Directive = {
  /** Chunks that carry text; each counts as one token, however long it is. */
  chunks: number;
  text: string;
  timing: Pick<Turn, "delay" | "ttft">;
  promptTokens: number | undefined;
  finish: "stop" | "length";
  /** Each chunk's text says its number and when it was sent, `c00012@<Unix nanoseconds> `. */
  stamp: boolean;
};

/**
 * The last directive in a request's JSON text. Understood: `chunks` (default 20), `delay` and `ttft` (ms), `pt` (prompt tokens to
 * report; the prompt is then not tokenized at all), `text` (of each chunk; takes the rest), `stamp=1`, `finish=length`.
 */
export function findDirective(json: string): Directive | undefined {
  const start = json.lastIndexOf(OPENING);
  const end = start < 0 ? -1 : json.indexOf("]]", start);
  if (end < 0) return undefined;
  let rest = json.slice(start + OPENING.length, end);
  let text: string | undefined;
  const textAt = /(?:^|,)text=/.exec(rest);
  if (textAt) {
    text = unescape(rest.slice(textAt.index + textAt[0].length));
    rest = rest.slice(0, textAt.index);
  }
  const values = new Map(
    rest.split(",").map((pair) => {
      const [name = "", value = ""] = pair.split("=", 2);
      return [name, value] as const;
    }),
  );
  const number = (name: string): number | undefined => {
    const value = Number(values.get(name) || Number.NaN);
    return Number.isFinite(value) && value >= 0 ? value : undefined;
  };
  const delay = number("delay");
  const ttft = number("ttft");
  return {
    chunks: Math.min(Math.floor(number("chunks") ?? 20), MOST_CHUNKS),
    text: text ?? "token ",
    timing: { ...(delay !== undefined && { delay }), ...(ttft !== undefined && { ttft }) },
    promptTokens: number("pt"),
    finish: values.get("finish") === "length" ? "length" : "stop",
    stamp: values.get("stamp") === "1",
  };
}

/** The answer that a directive asks for: unlike a scripted one, its end costs no token, so that the counts are round. */
export function planDirective(directive: Directive, maxTokens: number): Plan {
  const tokens = Math.min(directive.chunks, maxTokens);
  const delta = `{"content":${byteJson(directive.text)}}`;
  return {
    frames: Array.from({ length: tokens }, (_, index) => ({ delta, tokens: index + 1, reasoning: 0 })),
    stamped: directive.stamp,
    finish: tokens < directive.chunks ? "length" : directive.finish,
    stopReason: null,
    finishOnLastFrame: false,
    tokens,
    reasoningTokens: 0,
    content: directive.text.repeat(tokens),
    reasoning: null,
    calls: [],
    written: "",
  };
}

function unescape(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(`"${text}"`);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
