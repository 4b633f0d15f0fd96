/** Streams as they pass: early, unbuffered, alive in silence, exact, and bounded when a client is slow. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { waitUntil } from "../support/wait-until.ts";
import {
  DONE,
  args,
  call,
  delta,
  finish,
  role,
  say,
  streamOf,
  textStream,
  think,
  usage,
} from "../support/wire-chunks.ts";
import { type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import {
  JUDGES,
  PATHS,
  WIRES,
  ask,
  clients,
  post,
  readWhole,
  startWithConfig,
  stream,
} from "../support/wire-gateway.ts";
import { startLive } from "../support/wire-live.ts";

let engine: WireEngine;
let evener: RunningEvener;

beforeAll(async () => {
  engine = await startWireEngine({ window: 131_072 });
  evener = await startWithConfig(engine.url, { timeouts: { ping_ms: 100 } });
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

/** A promise to be kept by the test. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

const PING = { anthropic: 'event: ping\ndata: {"type":"ping"}\n\n', openai: ": ping\n\n" };
const running = (chunk: string, prompt: number, completion = 1): string =>
  chunk.replace(
    '"choices"',
    `"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion},"total_tokens":1},"choices"`,
  );

describe("Streams", () => {
  describe.each(WIRES)("%s", (wire) => {
    it("signs of life in a long prefill, before the engine has said a word", async () => {
      const { opened, open } = gate();
      engine.next({ steps: [{ until: opened }, ...textStream("At last.")] });
      const live = startLive(evener, wire);
      await live.saw(PING[wire] + PING[wire]);
      open();
      const { text, status } = await live.answer;
      expect(status).toBe(200);
      expect(JUDGES[wire](text)).toMatchObject({ problems: [], end: "finish", text: "At last." });
    });

    it("signs of life while a prompt is counted, before the engine is asked for an answer", async () => {
      const { opened, open } = gate();
      engine.counting = opened;
      engine.next({ steps: textStream("At last.") });
      const long = `${wire}, counted: ${"word ".repeat(60_000)}`;
      const live = startLive(evener, wire, { max_tokens: 1_000, messages: [{ role: "user", content: long }] });
      const asked = engine.requests.length;
      await live.saw(PING[wire] + PING[wire]);
      expect(engine.requests).toHaveLength(asked);
      open();
      expect(JUDGES[wire]((await live.answer).text)).toMatchObject({ problems: [], end: "finish", text: "At last." });
    });

    it("a refusal after a sign of life is an error event, and the connection breaks", async () => {
      const { opened, open } = gate();
      engine.counting = opened;
      engine.tokens = 200_000;
      const long = `${wire}, too long: ${"word ".repeat(60_000)}`;
      const live = startLive(evener, wire, { max_tokens: 1_000, messages: [{ role: "user", content: long }] });
      await live.saw(PING[wire]);
      open();
      const answer = await live.answer;
      engine.tokens = 40;
      expect(answer.end).toBe("cut");
      expect(JUDGES[wire](answer.text)).toMatchObject({ problems: [], end: "error" });
      expect(answer.text).toMatch(/too long|maximum context length/);
    });

    it("signs of life in the middle of an answer", async () => {
      const { opened, open } = gate();
      engine.next({ steps: [role, say("One "), { until: opened }, ...textStream("two.").slice(1)] });
      const live = startLive(evener, wire);
      await live.saw(new RegExp(`One [^]*${PING[wire].trim()}`));
      open();
      expect(JUDGES[wire]((await live.answer).text)).toMatchObject({ problems: [], text: "One two." });
    });

    it("an error after a sign of life is an error event, and the connection breaks", async () => {
      const { opened, open } = gate();
      engine.next({ status: 503, steps: [{ until: opened }, '{"error":{"message":"busy"}}'] });
      const live = startLive(evener, wire);
      await live.saw(PING[wire]);
      open();
      const answer = await live.answer;
      expect(answer.end).toBe("cut");
      expect(JUDGES[wire](answer.text)).toMatchObject({ problems: [], end: "error" });
    });

    it("headers of a stream", async () => {
      engine.next({ steps: textStream("x") });
      const { headers } = await stream(evener, wire);
      expect(headers).toMatchObject({
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        // Behind nginx as it comes out of the box.
        "x-accel-buffering": "no",
        "x-request-id": expect.stringMatching(/^req_/),
      });
    });

    it("each delta leaves when it comes, text, reasoning and arguments", async () => {
      const gates = [gate(), gate(), gate(), gate()];
      engine.next({
        steps: [
          role,
          think("step one"),
          { until: gates[0]!.opened },
          say("word one"),
          { until: gates[1]!.opened },
          call(0, "write_file"),
          args(0, '{"path":"/a'),
          { until: gates[2]!.opened },
          args(0, 'bc","n":1'),
          { until: gates[3]!.opened },
          args(0, "}"),
          finish("tool_calls"),
          usage(40, 9),
          DONE,
        ],
      });
      const live = startLive(evener, wire);
      for (const [index, seen] of ["step one", "word one", '{\\"path\\":\\"/a', 'bc\\",\\"n\\":1'].entries()) {
        await live.saw(seen);
        gates[index]!.open();
      }
      const verdict = JUDGES[wire]((await live.answer).text);
      expect(verdict).toMatchObject({ problems: [], end: "finish", malformed: [] });
      expect(verdict.calls).toMatchObject([{ name: "write_file", arguments: '{"path":"/abc","n":1}' }]);
    });

    it("no block is opened before its type is known", async () => {
      for (const first of [think("hm"), call(0, "f") + args(0, "{}"), say("text")]) {
        const { opened, open } = gate();
        engine.next({
          steps: [
            running(role, 40, 0),
            delta({ content: "" }),
            delta({ content: null }),
            { until: opened },
            first,
            finish(),
            DONE,
          ],
        });
        const live = startLive(evener, wire);
        await live.saw(PING[wire]);
        expect(live.received().text).not.toMatch(/content_block_start|"content":"[^"]|tool_calls|reasoning/);
        open();
        expect(JUDGES[wire]((await live.answer).text)).toMatchObject({ problems: [], end: "finish" });
      }
    });

    it("integers beyond 2^53 keep their digits, to the client and back to the engine", async () => {
      const written = '{"id":9007199254740993,"list":[-12345678901234567890123]}';
      for (const streams of [true, false]) {
        engine.next({
          steps: [
            role,
            call(0, "f"),
            args(0, written.slice(0, 20)),
            args(0, written.slice(20)),
            finish("tool_calls"),
            DONE,
          ],
        });
        const { text } = streams ? await stream(evener, wire) : await post(evener, wire, ask());
        if (streams) expect(JUDGES[wire](text).calls[0]?.arguments).toBe(written);
        else expect(text.replaceAll("\\", "")).toContain(written);
      }
      engine.next({ steps: textStream("done") });
      const turn =
        wire === "anthropic"
          ? [
              { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "f", input: "@@" }] },
              { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "ok" }] },
            ]
          : [
              {
                role: "assistant",
                tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: written } }],
              },
              { role: "tool", tool_call_id: "c", content: "ok" },
            ];
      const body = JSON.stringify(ask({ messages: [{ role: "user", content: "hi" }, ...turn] })).replace(
        '"@@"',
        written,
      );
      expect((await post(evener, wire, body)).status).toBe(200);
      expect(engine.requests.at(-1)?.text.replaceAll("\\", "")).toContain(written);
    });

    it("the whole answer is what its stream adds up to", async () => {
      const recorded = JSON.parse(
        readFileSync(new URL("../fixtures/vllm-0.32.0/plain.json", import.meta.url), "utf8"),
      ) as Record<string, { status: number; type: string; answer: string }>;
      const names = Object.keys(recorded).filter((name) => /^oai-(chat|tools|stop|json)/.test(name));
      expect(names.length).toBeGreaterThan(12);
      for (const name of names) {
        const { type, answer } = recorded[name]!;
        const steps =
          type === "text/event-stream" ? [answer] : streamOf(JSON.parse(answer) as Parameters<typeof streamOf>[0]);
        engine.next({ steps }, { steps });
        const { verdict } = await stream(evener, wire);
        const whole = readWhole(wire, (await post(evener, wire, ask())).text);
        // Ids of calls are the engine's own on one wire, and derive from the request on the other.
        const comparable = ({ text, reasoning, calls, reason }: typeof whole): unknown => ({
          text,
          reasoning,
          reason,
          calls: calls.map((each) => [each.name, asJson(each.arguments)]),
        });
        expect(comparable(verdict), name).toEqual(comparable(whole));
      }
    });

    it("any split of the engine's bytes gives the same bytes", async () => {
      const bytes = Buffer.from(
        [
          running(role, 40, 0),
          think("hm"),
          say('Grüße 👩‍💻 \\ "'),
          call(0, "f"),
          args(0, '{"a":"ö"}'),
          finish("tool_calls"),
          usage(40, 9),
          DONE,
        ].join(""),
      );
      const texts = new Set<string>();
      for (const size of [1, 7, 100, bytes.length]) {
        const steps = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        engine.next({ steps });
        const { text } = await stream(evener, wire);
        // What a message_start knows of the output depends on what had come with the first byte of it.
        texts.add(
          text
            .replaceAll(PING[wire], "")
            .replaceAll(/(?:msg_|chatcmpl-|toolu_|call_)[\w-]+|"created":\d+|"output_tokens":\d+/g, "id"),
        );
      }
      expect(texts.size).toBe(1);
    });

    it("a client that reads slowly holds the engine back, not memory, and loses nothing", async () => {
      const piece = "0123456789abcdef".repeat(1_024);
      const total = 50 << 20;
      const steps = [
        role,
        ...Array.from({ length: total / piece.length }, () => say(piece)),
        finish(),
        usage(40, 9),
        DONE,
      ];
      const before = engine.sent;
      const rss = rssOf(evener.pid);
      engine.next({ steps });
      const { response, got } = await slowly(evener, wire);
      let sent = -1;
      await waitUntil("the engine to be held back", async () => {
        const last = sent;
        sent = engine.sent - before;
        await new Promise((resolve) => setTimeout(resolve, 250));
        return sent === last && sent > 0;
      });
      expect(sent).toBeLessThan(total / 2);
      expect(rssOf(evener.pid) - rss).toBeLessThan(64 << 20);
      response.resume();
      await once(response, "end");
      expect(got()).toBeGreaterThan(total);
    });
  });

  it("anthropic > message_start says the prompt's true size", async () => {
    engine.next({ steps: [running(role, 12_345, 0), running(say("x"), 12_345), finish(), usage(12_345, 1), DONE] });
    expect((await stream(evener, "anthropic")).verdict).toMatchObject({
      problems: [],
      promptAtStart: 12_345,
      promptAtEnd: 12_345,
    });
  });

  it("anthropic > message_start is never 0, whatever the engine does not say", async () => {
    engine.next({ steps: [role, say("x"), finish(), usage(40, 1), DONE] });
    const { verdict } = await stream(evener, "anthropic");
    expect(verdict.promptAtStart).toBeGreaterThan(0);
    expect(verdict).toMatchObject({ promptAtEnd: 40 });
  });

  it("anthropic > the official SDK collects the stream to the whole answer", async () => {
    const steps = [
      role,
      think("hm"),
      say("Looking."),
      call(0, "f"),
      args(0, '{"a":[1,{"b":"ö"}]}'),
      finish("tool_calls"),
      usage(40, 9),
      DONE,
    ];
    engine.next({ steps }, { steps });
    const { anthropic } = clients(evener);
    const params = { model: "test-model", max_tokens: 100, messages: [{ role: "user" as const, content: "Hello." }] };
    const collected = await anthropic.messages.stream(params).finalMessage();
    const whole = await anthropic.messages.create(params);
    // The helper adds a field of its own.
    const plain = (message: object): unknown =>
      JSON.parse(JSON.stringify({ ...message, parsed_output: undefined }).replaceAll(/(?:msg|toolu)_[\w-]+/g, "id"));
    expect(plain(collected)).toEqual(plain(whole));
  });

  it("openai > usage comes as a last chunk only where it was asked for", async () => {
    engine.next({ steps: textStream("x") });
    const { text } = await post(evener, "openai", ask({ stream: true }));
    expect(text).not.toContain('"usage"');
    expect(JUDGES.openai(text)).toMatchObject({ problems: [], end: "finish" });
  });

  it("openai > reasoning stands under both names", async () => {
    for (const field of ["reasoning", "reasoning_content"]) {
      engine.next({ steps: [role, delta({ [field]: "hm" }), say("x"), finish(), usage(40, 2), DONE] });
      const { text, verdict } = await stream(evener, "openai");
      expect(verdict).toMatchObject({ problems: [], reasoning: "hm", text: "x" });
      expect(text).toContain('"reasoning_content":"hm","reasoning":"hm"');
    }
  });
});

function asJson(text: string): unknown {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return text;
  }
}

function rssOf(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1_024;
}

/** Opens a stream and reads 1 KB a second of it, until `response.resume()`. */
async function slowly(
  evener: RunningEvener,
  wire: "anthropic" | "openai",
): Promise<{ response: IncomingMessage; got: () => number }> {
  const request = httpRequest(evener.url + PATHS[wire], {
    method: "POST",
    agent: false,
    headers: { authorization: `Bearer ${evener.key}`, "content-type": "application/json" },
  });
  request.end(JSON.stringify(ask({ stream: true })));
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => (bytes += chunk.length));
  response.pause();
  const sip = (): void => {
    response.read(1_024);
  };
  const timer = setInterval(sip, 1_000);
  response.once("resume", () => clearInterval(timer)).once("close", () => clearInterval(timer));
  return { response, got: () => bytes };
}
