/** Engines that go wrong inside an answer: nothing of it may ever look like success, on either wire, streaming or not. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { type UsageRow, usageRows, usageRowsNow } from "../support/usage.ts";
import { waitUntil } from "../support/wait-until.ts";
import { DONE, args, call, delta, finish, frame, role, say, textStream, think, usage } from "../support/wire-chunks.ts";
import { type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { BREAKS, PRELUDES } from "../support/wire-failures.ts";
import {
  type Clients,
  WIRES,
  ask,
  clients,
  post,
  readWhole,
  startWithConfig,
  stream,
} from "../support/wire-gateway.ts";
import { thrownBy } from "../support/wire-thrown.ts";

let engine: WireEngine;
let evener: RunningEvener;
let sdk: Clients;

beforeAll(async () => {
  engine = await startWireEngine();
  evener = await startWithConfig(engine.url, { log: { format: "json" } });
  sdk = clients(evener);
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

const TYPE = { anthropic: "api_error", openai: "server_error" };

async function rowOf(headers: Record<string, string>): Promise<UsageRow> {
  const id = headers["request-id"] ?? headers["x-request-id"];
  let row: UsageRow | undefined;
  await waitUntil(`the usage row of ${id}`, async () => {
    row = (await usageRows(evener)).find((each) => each.request_id === id);
    return row !== undefined;
  });
  return row!;
}

const CASES = Object.entries(PRELUDES).flatMap(([where, prelude]) =>
  BREAKS.map((broken): [string, (typeof BREAKS)[number], readonly string[]] => [
    `${broken.what}, ${where}`,
    broken,
    prelude,
  ]),
);

describe("Failure: an engine breaks off", () => {
  describe.each(WIRES)("%s", (wire) => {
    it.concurrent.each(CASES)("%s", async (name, { steps, message }, prelude) => {
      const broken = { steps: [...prelude, ...steps] };
      const content = `${wire}: ${name}.`;
      const told = { type: TYPE[wire], message: expect.stringMatching(message) as unknown };
      // A stream that was seen is never asked for again; a whole answer once, if it was cut.
      engine.answer(content, broken);
      const received = await stream(evener, wire, { messages: [{ role: "user", content }] });
      expect(received).toMatchObject({ status: 200, complete: false });
      expect(received.verdict).toMatchObject({ problems: [], end: "error", error: told });
      engine.answer(content, broken);
      expect(await thrownBy(sdk, wire, true, content)).toMatchObject(told);
      engine.answer(content, broken, broken);
      expect(await thrownBy(sdk, wire, false, content)).toMatchObject({
        ...told,
        status: 502,
        requestId: expect.stringMatching(/^req_/),
      });
    });

    it("the usage row says that the engine died, with what it had generated", async () => {
      engine.next({ steps: [...PRELUDES["mid-text"]!, "reset"] });
      const { headers } = await stream(evener, wire);
      expect(await rowOf(headers)).toMatchObject({
        outcome: "engine_died",
        input_uncached: 40,
        output: 3,
        counted_by: "gateway",
      });
      engine.next({
        steps: [
          role,
          delta({ content: "one" }).replace(
            '"choices"',
            '"usage":{"prompt_tokens":31,"completion_tokens":17},"choices"',
          ),
          "reset",
        ],
      });
      const counted = await stream(evener, wire);
      expect(await rowOf(counted.headers)).toMatchObject({
        outcome: "engine_died",
        input_uncached: 31,
        output: 17,
        counted_by: "engine",
      });
    });

    it("a cut before anything was seen is mended without a word", async () => {
      engine.next({ steps: [role, "reset"] }, { steps: textStream("All is well.") });
      const { verdict, complete } = await stream(evener, wire);
      expect(verdict).toMatchObject({ problems: [], end: "finish", text: "All is well." });
      expect(complete).toBe(true);
    });

    it("what the client had not asked for twice is done once: no second try once something was seen", async () => {
      engine.next({ steps: [role, say("seen"), "reset"] }, { steps: textStream("never") });
      const before = engine.requests.length;
      await stream(evener, wire);
      expect(engine.requests.length).toBe(before + 1);
    });

    it("the same request sent again after a broken stream is marked in its usage row", async () => {
      const headers = { "x-claude-code-session-id": `again-${wire}` };
      engine.next({ steps: [role, say("seen"), "reset"] }, { steps: textStream("whole") });
      const first = await post(evener, wire, ask({ stream: true }), headers);
      const second = await post(evener, wire, ask(), headers);
      expect(second.status).toBe(200);
      const id = first.headers["request-id"] ?? first.headers["x-request-id"];
      const rows = await usageRowsNow(evener);
      const again = rows.find((row) => row.request_id === second.headers["request-id"]);
      expect(again).toMatchObject({ repeat_of: id, outcome: "ok" });
    });

    it("a connection that breaks behind a complete answer takes nothing from it", async () => {
      engine.next({ steps: [role, say("whole"), finish(), "reset"] });
      expect((await stream(evener, wire)).verdict).toMatchObject({ problems: [], end: "finish", text: "whole" });
    });

    it("an engine that never stops is stopped, before a whole answer fills the memory", async () => {
      let stopped: () => void = () => {};
      const gone = new Promise<void>((resolve) => (stopped = resolve));
      engine.onGone = stopped;
      engine.next({ steps: [role, ...Array.from({ length: 160 }, () => say("x".repeat(1024 * 1024))), "hang"] });
      const { status, text } = await post(evener, wire, ask());
      expect([status, text]).toEqual([502, expect.stringContaining("larger than any")]);
      await gone;
    });

    it("an engine that goes on after its error is stopped", async () => {
      let stopped: () => void = () => {};
      const gone = new Promise<void>((resolve) => (stopped = resolve));
      engine.onGone = stopped;
      engine.next({ steps: [role, say("a"), frame({ error: { message: "died", code: 500 } }), "hang"] });
      expect((await stream(evener, wire)).verdict.end).toBe("error");
      await gone;
    });
  });
});

describe("Failure: an engine answers nothing", () => {
  const EMPTY = [role, finish(), usage(40, 1), DONE];

  describe.each(WIRES)("%s", (wire) => {
    it.each([true, false])("once: it is asked again, unseen (streaming: %s)", async (streams) => {
      engine.next({ steps: EMPTY }, { steps: textStream("Second thoughts.") });
      const got = streams
        ? (await stream(evener, wire)).verdict
        : readWhole(wire, (await post(evener, wire, ask())).text);
      expect(got).toMatchObject({ text: "Second thoughts.", reason: wire === "anthropic" ? "end_turn" : "stop" });
    });

    it.each([true, false])("twice: it is said in words (streaming: %s)", async (streams) => {
      engine.next({ steps: EMPTY }, { steps: EMPTY }, { steps: textStream("a third try") });
      const got = streams
        ? (await stream(evener, wire)).verdict
        : readWhole(wire, (await post(evener, wire, ask())).text);
      expect(got.text).toMatch(/no text and no tool call/);
    });

    it("reasoning alone is no answer, and what was seen of it stays", async () => {
      engine.next({ steps: [role, think("hm"), finish(), usage(40, 2), DONE] });
      const { verdict } = await stream(evener, wire);
      expect(verdict).toMatchObject({ problems: [], end: "finish", reasoning: "hm" });
      expect(verdict.text).toMatch(/no text and no tool call/);
    });

    it("an answer that reached its limit while reasoning is one", async () => {
      engine.next({ steps: [role, think("hm"), finish("length"), usage(40, 2), DONE] });
      expect((await stream(evener, wire)).verdict).toMatchObject({
        problems: [],
        text: "",
        reason: wire === "anthropic" ? "max_tokens" : "length",
      });
    });
  });
});

describe("Failure: an engine miscounts", () => {
  const counts = (prompt: number, completion: number): string =>
    frame({ choices: [], usage: { prompt_tokens: prompt, completion_tokens: completion } });

  describe.each(WIRES)("%s", (wire) => {
    it("no usage at all: the gateway counts, prompt and answer", async () => {
      engine.next({ steps: [role, say("1"), say("2"), say("3"), finish(), DONE] });
      const { verdict, headers } = await stream(evener, wire);
      expect(verdict).toMatchObject({ problems: [], end: "finish", promptAtEnd: 40, output: 3 });
      expect(await rowOf(headers)).toMatchObject({
        input_uncached: 40,
        output: 3,
        counted_by: "gateway",
        outcome: "ok",
      });
    });

    it("usage at the end only, twice, and lower the second time: the largest counts", async () => {
      engine.next({ steps: [role, say("one"), finish(), counts(55, 9), counts(55, 3), DONE] });
      const { verdict, headers } = await stream(evener, wire);
      expect(verdict).toMatchObject({ problems: [], promptAtEnd: 55, output: 9 });
      expect(await rowOf(headers)).toMatchObject({ input_uncached: 55, output: 9, counted_by: "engine" });
    });

    it("usage of the prompt only: the answer is counted here", async () => {
      engine.next({
        steps: [role, say("1"), say("2"), finish(), frame({ choices: [], usage: { prompt_tokens: 55 } }), DONE],
      });
      const { verdict } = await stream(evener, wire);
      expect(verdict).toMatchObject({ problems: [], promptAtEnd: 55, output: 2 });
    });

    it("nonsense for usage is no usage", async () => {
      engine.next({
        steps: [
          role,
          say("one"),
          finish(),
          frame({ choices: [], usage: { prompt_tokens: "many", completion_tokens: -4 } }),
          DONE,
        ],
      });
      expect((await stream(evener, wire)).verdict).toMatchObject({ problems: [], promptAtEnd: 40, output: 1 });
    });
  });
});

describe("Failure: an engine sends what is no text", () => {
  describe.each(WIRES)("%s", (wire) => {
    it("broken UTF-8 becomes the replacement character, and the answer goes on", async () => {
      const broken = Buffer.from(say("X").replace("X", "a\xff\xc3("), "latin1");
      for (const streams of [true, false]) {
        engine.next({ steps: [role, broken, say(" fine"), finish(), DONE] });
        const got = streams
          ? (await stream(evener, wire)).verdict
          : readWhole(wire, (await post(evener, wire, ask())).text);
        expect(got.text).toBe("a\ufffd\ufffd( fine");
      }
    });

    it("a code point cut between two reads stays whole", async () => {
      const bytes = Buffer.from(say("Grüße 👩‍💻 世界"));
      engine.next({ steps: [role, ...Array.from(bytes, (byte) => Buffer.from([byte])), finish(), DONE] });
      expect((await stream(evener, wire)).verdict).toMatchObject({ problems: [], text: "Grüße 👩‍💻 世界" });
    });

    it("an engine that does not end after [DONE] is cut, and the answer is whole", async () => {
      for (const tail of [[], [": still here\n\n"]]) {
        const gone = new Promise<void>((resolve) => (engine.onGone = resolve));
        engine.next({ steps: [...textStream("Hi."), ...tail, "hang"] });
        expect((await stream(evener, wire)).verdict).toMatchObject({ problems: [], text: "Hi." });
        await gone;
      }
    });

    it("white space after reasoning is asked for again where the client has seen nothing, else explained", async () => {
      const blank = { steps: [role, think("Hm."), say("\n\n"), finish(), usage(40, 3), DONE] };
      engine.next(blank, { steps: textStream("Hi.") });
      expect(readWhole(wire, (await post(evener, wire, ask())).text).text).toBe("Hi.");
      engine.next(blank);
      expect((await stream(evener, wire)).verdict).toMatchObject({
        problems: [],
        text: expect.stringContaining("no text and no tool call") as unknown,
      });
    });

    it("a large event within the bound comes through", async () => {
      const long = "x".repeat(2 << 20);
      engine.next({ steps: [role, say(long), finish(), DONE] });
      expect((await stream(evener, wire)).verdict).toMatchObject({ problems: [], text: long });
    });

    it("arguments that never become JSON reach the harness as they are, for its own check to refuse", async () => {
      engine.next({ steps: [role, call(0, "get_weather"), args(0, '{"city": Paris}'), finish("tool_calls"), DONE] });
      const { verdict } = await stream(evener, wire);
      expect(verdict).toMatchObject({ problems: [], end: "finish", malformed: ['{"city": Paris}'] });
    });
  });
});
