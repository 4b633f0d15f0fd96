/** Properties of the decoder over recorded, generated and broken streams. FUZZ_RUNS raises the number of broken ones. */
import { readdirSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, DONE, finish, type Plain, sse } from "./__fixtures__/chunks.ts";

const FUZZ_RUNS = Number(process.env["FUZZ_RUNS"] ?? 1_000);

const RECORDED = new URL("./__fixtures__/vllm-0.32.0/", import.meta.url);
const streams = readdirSync(RECORDED)
  .filter((name) => name.endsWith(".sse"))
  .map((name) => readFileSync(new URL(name, RECORDED)));

const CUT = ["error", "engine_cut", expect.any(String)];
const isTerminal = ([type]: Plain) => type === "finish" || type === "error";

/** Where the chunk that carries the finish reason is complete: from there on the answer is. */
function finishedAt(stream: Buffer): number {
  return stream.indexOf("\n", stream.indexOf(`"finish_reason":"`));
}

/** Pieces of a buffer, cut at any bytes. */
function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((edge) => edge % stream.length).sort((a, b) => a - b), stream.length];
  return edges.slice(1).map((edge, i) => stream.subarray(edges[i], edge));
}

const anyStream = fc.constantFrom(...streams);
const cuts = fc.array(fc.nat(20_000), { maxLength: 30 });

describe("any stream", () => {
  it("gives the same events and usage whatever the reads", () => {
    fc.assert(
      fc.property(anyStream, cuts, (stream, at) => {
        const whole = decode(stream);
        const pieces = decode(cut(stream, at));
        expect(pieces.events).toEqual(whole.events);
        expect(pieces.usage.usage).toEqual(whole.usage.usage);
      }),
    );
  });

  it("gives the same events byte by byte", () => {
    for (const stream of streams) {
      const bytes = Array.from({ length: stream.length }, (_, i) => stream.subarray(i, i + 1));
      expect(decode(bytes).events).toEqual(decode(stream).events);
    }
  });

  it("is only a finish when its finish was complete, wherever it is truncated", () => {
    for (const stream of streams) {
      const whole = decode(stream).events;
      const complete = finishedAt(stream);
      // Every byte of the short ones; the long ones repeat the same few shapes.
      const step = stream.length < 3_000 ? 1 : 17;
      for (let end = 0; end <= stream.length; end += step) {
        const { events } = decode(stream.subarray(0, end));
        expect(events.filter(isTerminal)).toEqual([events.at(-1)]);
        expect(events.at(-1)).toEqual(end < complete ? CUT : whole.at(-1));
      }
    }
  }, 60_000);

  it("reads the same with CRLF, comments between events and a byte order mark", () => {
    for (const stream of streams) {
      const text = stream.toString("latin1");
      const dressed = `\u00ef\u00bb\u00bf${text.replaceAll("\n\n", "\n\n: ping\n\n").replaceAll("\n", "\r\n")}`;
      expect(decode(Buffer.from(dressed, "latin1")).events).toEqual(decode(stream).events);
    }
  });
});

describe("broken streams", () => {
  const junk = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom(
        "\n\n",
        "\r",
        "data: ",
        "data: {",
        "data: []\n\n",
        "}\n\n",
        "\\u",
        "\\ud83d",
        '"',
        DONE,
        finish("stop"),
        "error: {}\n",
        ": c\n\n",
        "[",
        "\u00ff",
      )
      .map((text) => Buffer.from(text, "latin1")),
    fc.jsonValue().map((value) => Buffer.from(sse({ choices: value, usage: value, error: null }))),
    fc.jsonValue().map((value) => Buffer.from(sse({ choices: [{ index: 0, delta: value, finish_reason: value }] }))),
    fc.jsonValue().map((value) => Buffer.from(sse({ choices: [{ index: 0, delta: { content: value } }] }))),
    fc.jsonValue().map((value) =>
      Buffer.from(
        sse({
          choices: [
            {
              index: 0,
              delta: {
                tool_calls: [value, { index: value, id: value, function: { name: value, arguments: value } }],
              },
            },
          ],
        }),
      ),
    ),
  );
  /** A stream with bytes replaced, left out or put in. */
  const broken = fc
    .tuple(anyStream, fc.array(fc.tuple(fc.nat(20_000), fc.nat(60), junk), { minLength: 1, maxLength: 4 }))
    .map(([stream, edits]) => {
      let bytes = stream;
      for (const [at, drop, put] of edits) {
        const from = at % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + drop)]);
      }
      return bytes;
    });

  it(`never throw, and end in exactly one terminal event (${FUZZ_RUNS} runs)`, () => {
    fc.assert(
      fc.property(
        fc.oneof(
          broken,
          fc.array(junk, { maxLength: 12 }).map((parts) => Buffer.concat(parts)),
        ),
        cuts,
        (stream, at) => {
          const { events } = decode(stream);
          expect(events.filter(isTerminal)).toEqual([events.at(-1)]);
          // No finish without a finish reason somewhere in the bytes.
          expect(events.at(-1)?.[0] === "finish" && !stream.includes("finish_reason")).toBe(false);
          expect(outOfOrder(events)).toEqual([]);
          const pieces = stream.length === 0 ? [] : cut(stream, at);
          expect(normal(decode(pieces).events)).toEqual(normal(events));
        },
      ),
      { numRuns: FUZZ_RUNS },
    );
  }, 3_600_000);
});

/** Ids that the decoder makes up differ from run to run. */
function normal(events: Plain[]): Plain[] {
  return events.map((event) =>
    event[0] === "call" && /^call_[0-9a-f]{24}$/.test(event[2] as string) ? ["call", event[1], "?", event[3]] : event,
  );
}

/** The events of tool calls that do not follow their call's start, or a start out of turn. */
function outOfOrder(events: Plain[]): Plain[] {
  let open = -1;
  return events.filter(([type, index]) => (type === "call" && index !== ++open) || (type === "args" && index !== open));
}
