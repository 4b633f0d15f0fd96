import { describe, expect, test } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import type { ErrorEvent, FinishEvent, StreamEvent } from "../conversation/stream-event.ts";
import { UsageFold } from "../conversation/usage.ts";
import {
  DEFAULT_ENGINE_TIMEOUTS,
  type EngineTimeouts,
  type Upstream,
  type UpstreamHandlers,
} from "../engine/upstream.ts";
import type { EngineInfo } from "../routing/engine-pool.ts";
import { replicaOf } from "../routing/__fixtures__/replica.ts";
import { CallVocabulary } from "../toolcalls/call-recovery.ts";
import { Exchange } from "./exchange.ts";

/** What one attempt meets: a stream of chat chunks, an HTTP error, or a failure of the connection. */
type Attempt =
  | { chunks: object[]; cut?: true; late?: true }
  | { status: number; headers?: Record<string, string>; body: string; cut?: true }
  | { error: GatewayError }
  /** Nothing, until the replica is found down. */
  | { hangs: true; begun?: object };

const delta = (content: string) => ({ choices: [{ index: 0, delta: { content } }] });
const reasoning = (text: string) => ({ choices: [{ index: 0, delta: { reasoning: text } }] });
const finish = (finish_reason = "stop") => ({ choices: [{ index: 0, delta: {}, finish_reason }] });
const usage = (prompt_tokens: number, completion_tokens: number) => ({
  choices: [],
  usage: { prompt_tokens, completion_tokens },
});

function play(
  attempts: Attempt[],
  {
    replicas = 1,
    down = [],
    seen = true,
    refit = ["refitted"],
    stops = [],
    asked,
    slow = false,
    timeouts = DEFAULT_ENGINE_TIMEOUTS,
  }: {
    replicas?: number;
    down?: number[];
    seen?: boolean;
    refit?: string[];
    stops?: string[];
    asked?: string[];
    /** A client that is slower than the engine. */
    slow?: boolean;
    timeouts?: EngineTimeouts;
  } = {},
) {
  const bodies: string[] = [];
  const engines: string[] = [];
  /** Attempts that were aborted, by number. */
  const aborted: number[] = [];
  /** What else became of the calls. */
  const held: string[] = [];
  const upstream: Pick<Upstream, "post"> = {
    post(engine, _path, body, handlers) {
      bodies.push(body);
      engines.push(engine.url);
      const number = bodies.length;
      const attempt = attempts[number - 1];
      if (attempt === undefined) throw new Error("one attempt too many");
      queueMicrotask(() => {
        answer(attempt, handlers);
        if (!("hangs" in attempt)) return;
        const found = states.find(({ address }) => address.url === engine.url)!;
        found.up = false;
        exchange.moveFrom(found);
        if (bodies.length === number) exchange.stop(new GatewayError("shutting_down", "the test ends"));
      });
      return {
        abort: () => void aborted.push(number),
        pause: () => void held.push("paused"),
        resume() {},
        expectEnd: () => void held.push("to end"),
      };
    },
  };
  const states = Array.from({ length: replicas }, (_, index) => replicaOf(`e${index}`, { up: !down.includes(index) }));
  let got: StreamEvent[] = [];
  const fold = new UsageFold();
  let exchange: Exchange<EngineInfo>;
  return new Promise<{
    events: StreamEvent[];
    end: FinishEvent | ErrorEvent;
    bodies: string[];
    engines: string[];
    fold: UsageFold;
    states: typeof states;
    aborted: number[];
    held: string[];
  }>((resolve) => {
    exchange = new Exchange<EngineInfo>(
      upstream as Upstream,
      {
        requestId: "req_test",
        replicas: states,
        body: "first",
        stops,
        ...(asked !== undefined && { asked }),
        usage: fold,
        timeouts,
        errorContext: { model: "m", contextWindow: 8192 },
        amend: async (error) => {
          const body = refit.shift();
          if (body === undefined) throw error;
          return body;
        },
        onAttemptFailed() {},
      },
      {
        events(events) {
          got.push(...events);
          return !slow;
        },
        restart() {
          got = [];
        },
        seen: () => seen && got.length > 0,
        end: (end) => resolve({ events: got, end, bodies, engines, fold, states, aborted, held }),
      },
    );
    exchange.start();
  });
}

function answer(attempt: Attempt, handlers: UpstreamHandlers): void {
  if ("error" in attempt) return handlers.onError(attempt.error);
  if ("hangs" in attempt) {
    handlers.onHead(200, { "content-type": "text/event-stream" });
    if (attempt.begun !== undefined) handlers.onData(Buffer.from(`data: ${JSON.stringify(attempt.begun)}\n\n`));
    return;
  }
  if ("status" in attempt) {
    handlers.onHead(attempt.status, attempt.headers ?? {});
    handlers.onData(Buffer.from(attempt.body));
    if (attempt.cut) return handlers.onError(new GatewayError("engine_cut", "cut"));
    return handlers.onEnd();
  }
  handlers.onHead(200, { "content-type": "text/event-stream" });
  for (const chunk of attempt.chunks) handlers.onData(Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`));
  if (attempt.cut) return handlers.onError(new GatewayError("engine_cut", "cut"));
  if (attempt.late) return handlers.onError(new GatewayError("engine_timeout", "silent since"));
  handlers.onData(Buffer.from("data: [DONE]\n\n"));
  handlers.onEnd();
}

const tooLong: Attempt = {
  status: 400,
  body: JSON.stringify({
    error: {
      message:
        "This model's maximum context length is 8192 tokens. However, your prompt contains at least 8193 input tokens.",
      type: "BadRequestError",
      param: "input_tokens",
      code: 400,
    },
  }),
};
const unreachable = { error: new GatewayError("engine_unreachable", "refused") };
const silent = { error: new GatewayError("engine_timeout", "silent") };
const hello: Attempt = { chunks: [delta("hello"), finish(), usage(3, 1)] };

describe("Exchange", () => {
  test("passes an answer on, with its usage, and lets the replica go", async () => {
    const { events, end, fold, states } = await play([hello]);
    expect(events).toEqual([{ type: "text-delta", text: "hello" }]);
    expect(end).toEqual({ type: "finish", reason: "stop" });
    expect(fold.usage).toMatchObject({ inputUncached: 3, output: 1 });
    expect(states[0]?.inFlight).toBe(0);
  });

  test("asks the next replica when one cannot be reached, and no replica twice for that", async () => {
    expect(await play([unreachable, hello], { replicas: 2 })).toMatchObject({
      end: { type: "finish" },
      engines: ["http://e0", "http://e1"],
    });
    expect(await play([unreachable])).toMatchObject({ end: { type: "error", error: { code: "engine_unreachable" } } });
  });

  test("asks a replica that is down only when it comes first", async () => {
    expect((await play([unreachable, hello], { replicas: 3, down: [1] })).engines).toEqual(["http://e0", "http://e2"]);
    expect((await play([hello], { replicas: 2, down: [0, 1] })).engines).toEqual(["http://e0"]);
    // Nothing better is known: it may be back.
    expect((await play([unreachable, hello], { replicas: 2, down: [1] })).engines).toEqual(["http://e0", "http://e1"]);
    expect((await play([unreachable, hello], { replicas: 2, down: [0, 1] })).engines).toEqual([
      "http://e0",
      "http://e1",
    ]);
    const busy: Attempt = { status: 503, body: "busy" };
    expect((await play([busy], { replicas: 2, down: [1] })).end).toMatchObject({
      type: "error",
      error: { code: "engine_overloaded" },
    });
    const cut: Attempt = { chunks: [], cut: true };
    expect((await play([cut, hello], { replicas: 2, down: [1] })).engines).toEqual(["http://e0", "http://e0"]);
    expect((await play([cut, hello], { replicas: 3, down: [1] })).engines).toEqual(["http://e0", "http://e2"]);
  });

  test("asks another after a silence, and one that may still have the model; neither twice", async () => {
    const lost: Attempt = { status: 404, body: '{"error":{"message":"The model `m` does not exist.","code":404}}' };
    for (const [failed, code] of [
      [silent, "engine_timeout"],
      [lost, "model_not_found"],
    ] as const) {
      expect((await play([failed, hello], { replicas: 2 })).engines).toEqual(["http://e0", "http://e1"]);
      expect((await play([failed], { replicas: 2, down: [1] })).end).toMatchObject({ error: { code } });
      expect((await play([failed])).end).toMatchObject({ error: { code } });
    }
  });

  test("asks no other once the whole answer has taken too long", async () => {
    const timeouts = { ...DEFAULT_ENGINE_TIMEOUTS, totalMs: Number.MIN_VALUE };
    expect((await play([silent], { replicas: 2, timeouts })).end).toMatchObject({ error: { code: "engine_timeout" } });
  });

  test("leaves a replica that goes down for another that is up, while it has said nothing", async () => {
    const moved = await play([{ hangs: true }, hello], { replicas: 3, down: [1] });
    expect(moved).toMatchObject({ end: { type: "finish" }, engines: ["http://e0", "http://e2"], aborted: [1] });
    expect(moved.states.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0]);
    expect((await play([{ hangs: true }])).engines).toEqual(["http://e0"]);
    expect((await play([{ hangs: true, begun: delta("he") }], { replicas: 2, seen: false })).engines).toEqual([
      "http://e0",
    ]);
  });

  test("notes which replicas keep silent, and which speak", async () => {
    expect((await play([silent, hello], { replicas: 2 })).states.map(({ silence }) => silence.count)).toEqual([1, 0]);
    const { states } = await play([{ chunks: [delta("he"), { error: { message: "died", code: 500 } }] }]);
    expect(states[0]?.silence.count).toBe(0);
    const idle: Attempt = { chunks: [delta("he")], late: true };
    expect((await play([idle])).states[0]?.silence.count).toBe(0);
  });

  test("asks the same replica again with a body that fits, and after an empty answer", async () => {
    const empty: Attempt = { chunks: [finish()] };
    expect((await play([tooLong, empty, hello], { replicas: 2 })).engines).toEqual([
      "http://e0",
      "http://e0",
      "http://e0",
    ]);
    expect((await play([unreachable, tooLong, hello], { replicas: 3 })).engines).toEqual([
      "http://e0",
      "http://e1",
      "http://e1",
    ]);
  });

  test("repeats a cut answer only while nothing of it was seen", async () => {
    const cut: Attempt = { chunks: [delta("he")], cut: true };
    const shown = await play([cut]);
    expect(shown.end).toMatchObject({ type: "error", error: { code: "engine_cut" } });
    const hidden = await play([cut, hello], { seen: false });
    expect(hidden.events).toEqual([{ type: "text-delta", text: "hello" }]);
    expect(hidden.fold.usage).toMatchObject({ inputUncached: 3, output: 1 });
    expect((await play([cut, cut], { seen: false })).end).toMatchObject({ type: "error" });
    // What the first attempt cost, and that it had text, says nothing of the second.
    const dear: Attempt = { chunks: [delta("he"), usage(500, 90)], cut: true };
    expect((await play([dear, hello], { seen: false })).fold.usage).toMatchObject({ inputUncached: 3, output: 1 });
    const empty: Attempt = { chunks: [finish()] };
    expect((await play([cut, empty, hello], { seen: false })).events).toEqual([{ type: "text-delta", text: "hello" }]);
  });

  test("takes a refusal for what it is when its body breaks off", async () => {
    const busy: Attempt = { status: 429, headers: { "retry-after": "7" }, body: '{"error"', cut: true };
    expect((await play([busy])).end).toMatchObject({ error: { code: "rate_limited", retryAfter: 7 } });
    expect(await play([{ ...tooLong, cut: true }, hello])).toMatchObject({ bodies: ["first", "refitted"] });
  });

  test("sends a body that fits when the engine says that the first does not, once", async () => {
    expect(await play([tooLong, hello])).toMatchObject({ bodies: ["first", "refitted"], end: { type: "finish" } });
    expect(await play([tooLong, tooLong])).toMatchObject({
      end: { type: "error", error: { code: "prompt_too_long" } },
    });
    expect(await play([tooLong], { refit: [] })).toMatchObject({
      end: { type: "error", error: { code: "prompt_too_long" } },
    });
  });

  test("asks again without what the engine does not take, as long as there is something to give up", async () => {
    const refused = (message: string): Attempt => ({ status: 400, body: JSON.stringify({ error: { message } }) });
    const noParser = refused('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set');
    const noGrammar = refused("Grammar error: Unknown format: cron");
    const answered = await play([noParser, noGrammar, tooLong, hello], { refit: ["as text", "plain", "shorter"] });
    expect(answered).toMatchObject({ bodies: ["first", "as text", "plain", "shorter"], end: { type: "finish" } });
    expect(await play([noGrammar, noGrammar, hello], { refit: ["plain", "free"] })).toMatchObject({
      bodies: ["first", "plain", "free"],
      end: { type: "finish" },
    });
    for (const refusal of [noParser, noGrammar]) {
      const told = { type: "error", error: { code: "engine_refused" } };
      expect((await play([refusal, refusal])).end).toMatchObject(told);
      expect((await play([refusal], { refit: [] })).end).toMatchObject(told);
    }
  });

  test("asks again with less after a failure that may be the grammar's, once no other replica takes it whole", async () => {
    const error = { message: "Internal server error", type: "InternalServerError", code: 500 };
    const failures: Attempt[] = [{ status: 500, body: JSON.stringify({ error }) }, { chunks: [{ error }] }];
    for (const failure of failures) {
      expect(await play([failure, hello])).toMatchObject({ bodies: ["first", "refitted"], end: { type: "finish" } });
      const other = await play([failure, hello], { replicas: 2 });
      expect(other).toMatchObject({ bodies: ["first", "first"], engines: ["http://e0", "http://e1"] });
      const neither = await play([failure, failure, hello], { replicas: 2 });
      expect(neither).toMatchObject({ bodies: ["first", "first", "refitted"], end: { type: "finish" } });
      expect(neither.engines).toEqual(["http://e0", "http://e1", "http://e1"]);
      const nothing = await play([failure], { refit: [] });
      expect(nothing.end).toMatchObject({ type: "error", error: { code: "engine_failed" } });
    }
  });

  test("asks again once after an empty answer, then says so in text", async () => {
    const empty: Attempt = { chunks: [finish(), usage(3, 0)] };
    expect((await play([empty, hello])).events).toEqual([{ type: "text-delta", text: "hello" }]);
    const twice = await play([empty, empty]);
    expect(twice.events).toMatchObject([
      { type: "text-delta", text: expect.stringContaining("no text and no tool call") },
    ]);
    expect(twice.end).toEqual({ type: "finish", reason: "stop" });
  });

  test("takes white space for no answer, and text of any script for one", async () => {
    const blank: Attempt = { chunks: [reasoning("hm"), delta("\n\n"), delta(" \t\r"), finish()] };
    expect((await play([blank, hello], { seen: false })).events).toEqual([{ type: "text-delta", text: "hello" }]);
    expect((await play([blank])).events.at(-1)).toMatchObject({
      type: "text-delta",
      text: expect.stringContaining("no text and no tool call"),
    });
    // In bytes it begins and ends with what JavaScript takes for white space.
    const other: Attempt = { chunks: [delta("\n"), delta("à"), finish()] };
    expect((await play([other])).events).toHaveLength(2);
  });

  test("does not ask again after reasoning that the client has seen, nor when the limit was reached", async () => {
    const thought = await play([{ chunks: [reasoning("hm"), finish()] }]);
    expect(thought.events.map((event) => event.type)).toEqual(["reasoning-delta", "text-delta"]);
    const cutShort = await play([{ chunks: [finish("length")] }]);
    expect(cutShort).toMatchObject({ events: [], end: { reason: "length" } });
  });

  test("stops an engine whose stream went wrong, and leaves one that finished alone", async () => {
    const wrong: Attempt = { chunks: [delta("he"), { error: { message: "died", code: 500 } }, delta("llo")] };
    expect((await play([wrong])).aborted).toEqual([1]);
    expect((await play([wrong, hello], { replicas: 2, seen: false })).aborted).toEqual([1]);
    expect((await play([hello])).aborted).toEqual([]);
  });

  test("stops an engine whose answer met a stop sequence here", async () => {
    expect(await play([{ chunks: [delta("one STOP two"), delta("three")] }], { stops: ["STOP"] })).toMatchObject({
      events: [{ type: "text-delta", text: "one " }],
      end: { type: "finish", reason: "stop-sequence", stopSequence: "STOP" },
      aborted: [1],
    });
  });

  test("takes a stop sequence of the engine's own for the end that it is", async () => {
    const end = { choices: [{ index: 0, delta: {}, finish_reason: "stop", matched_stop: "<|im_end|>" }] };
    const spoken: Attempt = { chunks: [delta("hello"), end] };
    expect((await play([spoken], { asked: ["END"] })).end).toEqual({ type: "finish", reason: "stop" });
    expect((await play([spoken], { asked: ["<|im_end|>"] })).end).toMatchObject({ reason: "stop-sequence" });
    // Without any text it is empty as any other, and asked for again.
    expect((await play([{ chunks: [end] }, hello], { asked: [], seen: false })).bodies).toHaveLength(2);
  });

  test("shows at a limit what was held back because it might have become a call", () => {
    let engine: UpstreamHandlers | undefined;
    const upstream: Pick<Upstream, "post"> = {
      post(_engine, _path, _body, handlers) {
        engine = handlers;
        return { abort() {}, pause() {}, resume() {}, expectEnd() {} };
      },
    };
    const replica = replicaOf("e");
    const got: StreamEvent[] = [];
    const exchange = new Exchange<EngineInfo>(
      upstream as Upstream,
      {
        requestId: "req_test",
        replicas: [replica],
        body: "",
        usage: new UsageFold(),
        timeouts: DEFAULT_ENGINE_TIMEOUTS,
        recovery: {
          vocabulary: new CallVocabulary([{ name: "Bash", schema: { type: "object" } }]),
          repairs: false,
          onlyOne: false,
          onRecovered() {},
        },
        errorContext: { model: "m" },
        amend: (error) => Promise.reject(error),
        onAttemptFailed() {},
      },
      {
        events: (events) => got.push(...events) > 0,
        restart() {},
        seen: () => got.length > 0,
        end: (end) => got.push(end),
      },
    );
    exchange.start();
    engine?.onHead(200, {});
    engine?.onData(Buffer.from(`data: ${JSON.stringify(delta("<tool_call>"))}\n\n`));
    expect(got).toEqual([]);
    exchange.endAtLimit();
    expect(got).toEqual([
      { type: "text-delta", text: "<tool_call>" },
      { type: "finish", reason: "length" },
    ]);
  });

  test("counts no request in flight that could not be sent", () => {
    const replica = replicaOf("e");
    const upstream: Pick<Upstream, "post"> = {
      post() {
        throw new Error("no header can carry this key");
      },
    };
    const plan = {
      requestId: "req_test",
      replicas: [replica],
      body: "",
      usage: new UsageFold(),
      timeouts: DEFAULT_ENGINE_TIMEOUTS,
      errorContext: { model: "m" },
      amend: (error: GatewayError) => Promise.reject(error),
      onAttemptFailed() {},
    };
    const sink = { events: () => true, restart() {}, seen: () => false, end() {} };
    expect(() => new Exchange(upstream as Upstream, plan, sink).start()).toThrow("no header");
    expect(replica.inFlight).toBe(0);
  });

  test("holds an engine back for a slow client, but not at the end of its answer, which it is then to end", async () => {
    expect((await play([hello])).held).toEqual(["to end"]);
    expect((await play([hello], { slow: true })).held).toEqual(["paused", "to end"]);
    // The last text waits for what comes behind it, and so arrives with the finish.
    const last: Attempt = { chunks: [delta("one STO"), finish()] };
    expect((await play([last], { slow: true, stops: ["STOP"] })).held).toEqual(["paused", "to end"]);
  });
});
