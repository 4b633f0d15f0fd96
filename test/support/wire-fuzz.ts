/**
 * Makes engine streams and spoils them, from a seed: what any engine, proxy or network may do to an answer. Knows of each
 * what may come out of it at most.
 */
import { DONE, args, call, delta, finish, frame, role, say, think, usage } from "./wire-chunks.ts";

/** Mulberry32: small, fast, the same everywhere. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export type FuzzedStream = {
  seed: number;
  /** The bytes as they were read from the engine, read by read. */
  reads: Buffer[];
  /** How it was spoiled; `none` is a healthy stream. */
  spoiled: string;
  /** What a healthy stream says; undefined once it was spoiled. */
  said: { text: string; reasoning: string; calls: { name: string; arguments: string }[] } | undefined;
  /** Whether a finish could honestly come out of it at all. */
  mayFinish: boolean;
};

const TEXTS = [
  "Hello",
  " world",
  "\n\n",
  "Grüße 世界 ",
  "👩‍💻",
  '"quoted" \\ /',
  "\u0000\u001f\u007f",
  "\u2028",
  "a".repeat(300),
  " ",
  "data: [DONE]",
  "<tool_call>",
];
const ARGUMENTS = [
  "{}",
  '{"city":"Köln"}',
  '{"n":9007199254740993,"list":[1,2,{"a":null}]}',
  '{ "a" : "}{" }',
  '{"path":"C:\\\\x","q":"\\"\\u00e9"}',
  `{"long":"${"x".repeat(500)}"}`,
];

export function fuzzedStream(seed: number): FuzzedStream {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const upTo = (most: number): number => Math.floor(next() * (most + 1));
  const said = { text: "", reasoning: "", calls: [] as { name: string; arguments: string }[] };
  const events: string[] = [];
  const escape = next() < 0.2;

  if (next() < 0.9) events.push(role);
  for (let i = upTo(4); i > 0; i--) {
    const text = pick(TEXTS);
    said.reasoning += text;
    events.push(next() < 0.5 ? think(text) : delta({ reasoning_content: text }));
  }
  for (let i = upTo(6); i > 0; i--) {
    const text = pick(TEXTS);
    said.text += text;
    events.push(say(text));
  }
  for (let i = next() < 0.5 ? 0 : upTo(3); i > 0; i--) {
    const written = pick(ARGUMENTS);
    const index = said.calls.length;
    said.calls.push({ name: `tool_${index}`, arguments: written });
    const pieces = cut(written, upTo(5), next);
    if (next() < 0.3) {
      events.push(
        delta({
          tool_calls: [
            { id: `c${index}`, type: "function", index, function: { name: `tool_${index}`, arguments: written } },
          ],
        }),
      );
    } else events.push(call(index, `tool_${index}`), ...pieces.map((piece) => args(index, piece)));
  }
  events.push(finish(said.calls.length > 0 ? "tool_calls" : pick(["stop", "stop", "length"])));
  const tail = next();
  if (tail < 0.9) events.push(usage(upTo(5_000), upTo(500), upTo(100)));
  if (tail > 0.02) events.push(DONE);

  const written = escape ? events.map(asciiOnly) : events;
  const spoiled = next() < 0.25 ? "none" : pick(Object.keys(SPOILERS));
  const { bytes, mayFinish } =
    spoiled === "none" ? { bytes: join(written), mayFinish: true } : SPOILERS[spoiled]!(written, next);
  const ending = next() < 0.1 ? Buffer.from(bytes.toString("latin1").replaceAll("\n", "\r\n"), "latin1") : bytes;
  return { seed, reads: split(ending, next), spoiled, said: spoiled === "none" ? said : undefined, mayFinish };
}

type Spoiler = (events: string[], next: () => number) => { bytes: Buffer; mayFinish: boolean };

const at = (list: { length: number }, next: () => number): number => Math.floor(next() * list.length);
const join = (events: readonly (string | Buffer)[]): Buffer => Buffer.concat(events.map((event) => Buffer.from(event)));
const insert = (events: readonly string[], next: () => number, what: string | Buffer): Buffer => {
  const list: (string | Buffer)[] = [...events];
  list.splice(at(list, next), 0, what);
  return join(list);
};
/** Bytes of the event with the finish reason, and all before it. */
const finishEnds = (events: readonly string[]): number =>
  join(events.slice(0, events.findIndex((event) => /"finish_reason":"/.test(event)) + 1)).length;

const SPOILERS: Record<string, Spoiler> = {
  truncated: (events, next) => {
    const whole = join(events);
    const length = at(whole, next);
    // The blank line after an event may be missing at a stream's end.
    return { bytes: whole.subarray(0, length), mayFinish: length >= finishEnds(events) - 2 };
  },
  "without a finish": (events) => ({
    bytes: join(events.filter((event) => !/"finish_reason":"/.test(event))),
    mayFinish: false,
  }),
  "an event lost": (events, next) => {
    const list = [...events];
    list.splice(at(list, next), 1);
    return { bytes: join(list), mayFinish: list.some((event) => /"finish_reason":"/.test(event)) };
  },
  "an event twice": (events, next) => ({
    bytes: insert(events, next, events[at(events, next)] ?? ""),
    mayFinish: true,
  }),
  "two events swapped": (events, next) => {
    const list = [...events];
    const i = at(list, next);
    const j = at(list, next);
    [list[i], list[j]] = [list[j]!, list[i]!];
    return { bytes: join(list), mayFinish: true };
  },
  "an error": (events, next) => ({
    bytes: insert(
      events,
      next,
      frame({ error: { message: "EngineCore died", type: "InternalServerError", code: 500 } }),
    ),
    mayFinish: true,
  }),
  "an error by name": (events, next) => ({
    bytes: insert(events, next, 'event: error\ndata: {"message":"gone"}\n\n'),
    mayFinish: true,
  }),
  garbage: (events, next) => {
    const junk = Array.from({ length: 1 + at({ length: 60 }, next) }, () => at({ length: 256 }, next));
    return { bytes: insert(events, next, Buffer.from(junk)), mayFinish: true };
  },
  "lines of no stream": (events, next) => ({
    bytes: insert(
      events,
      next,
      [
        "data: {not json\n\n",
        "no colon\n\n",
        'data: "text"\n\n',
        "data: []\n\n",
        ": comment\n\n",
        "id: 1\nretry: 5\n\n",
        "data:\n\n",
      ][at({ length: 7 }, next)] ?? "",
    ),
    mayFinish: true,
  }),
  "bytes flipped": (events, next) => {
    const whole = join(events);
    for (let i = 0; i < 3; i++) whole[at(whole, next)] = at({ length: 256 }, next);
    return { bytes: whole, mayFinish: true };
  },
  "broken UTF-8": (events, next) => ({
    bytes: insert(events, next, Buffer.from(say("X").replace("X", "\xff\xc3("), "latin1")),
    mayFinish: true,
  }),
  "a huge line": (events, next) => ({
    bytes: insert(events, next, say("x".repeat(200_000 * (1 + at({ length: 2 }, next))))),
    mayFinish: true,
  }),
  "fields of wrong types": (events, next) => ({
    bytes: insert(
      events,
      next,
      [
        frame({ choices: {} }),
        frame({ choices: [null] }),
        frame({ choices: [{ index: 0, delta: 7, finish_reason: 7 }] }),
        delta({ content: 7, reasoning: [], tool_calls: "x" }),
        delta({ content: { a: 1 } }),
        delta({ tool_calls: [null, 1, {}, { index: "x" }, { index: -1, function: 1 }] }),
        delta({ tool_calls: [{ index: 3, function: { arguments: "{" } }] }),
        delta({ tool_calls: [{ index: 0, id: "z", function: { name: 7, arguments: { n: 1 } } }] }),
        frame({ choices: [], usage: { prompt_tokens: "many", completion_tokens: -4 } }),
        frame(null),
      ][at({ length: 10 }, next)] ?? "",
    ),
    mayFinish: true,
  }),
  "an end that is no end": (events) => ({
    bytes: join(events.map((event) => event.replace(/"finish_reason":"\w+"/, '"finish_reason":"abort"'))),
    mayFinish: false,
  }),
  "a JSON answer": (events) => ({
    bytes: Buffer.from(`{"choices":[{"message":{"content":"x"}}],"n":${events.length}}`),
    mayFinish: false,
  }),
  "nothing at all": () => ({ bytes: Buffer.alloc(0), mayFinish: false }),
};

function split(bytes: Buffer, next: () => number): Buffer[] {
  const reads: Buffer[] = [];
  const most = next() < 0.1 ? 3 : next() < 0.5 ? 40 : 2_000;
  // A huge line in pieces of a few bytes is a test of patience, not of reading.
  const longest = Math.max(most, Math.ceil(bytes.length / 2_000));
  for (let i = 0; i < bytes.length;) {
    const end = Math.min(bytes.length, i + 1 + Math.floor(next() * longest));
    reads.push(bytes.subarray(i, end));
    i = end;
  }
  return reads;
}

function cut(text: string, times: number, next: () => number): string[] {
  const places = Array.from({ length: times }, () => Math.floor(next() * text.length)).sort((a, b) => a - b);
  return [0, ...places].map((start, index) => text.slice(start, places[index])).filter((piece) => piece !== "");
}

function asciiOnly(event: string): string {
  return event.replaceAll(/[^\x00-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
