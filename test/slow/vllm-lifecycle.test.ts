/**
 * Requests on a real vLLM that do not come to their end: the client leaves, or the engine dies. The model has random
 * weights, so it writes until its limit, and fast.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { promptTokens, usageRows } from "./support/usage.ts";
import { SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

/** More than it can write while a test runs, so that an end before this is an abort. */
const ENDLESS = 100_000;

type Wire = "anthropic" | "openai";

function post(evener: RunningEvener, wire: Wire, body: object, signal?: AbortSignal): Promise<Response> {
  const credentials = { "content-type": "application/json", "x-api-key": evener.key };
  return fetch(`${evener.url}${wire === "anthropic" ? "/v1/messages" : "/v1/chat/completions"}`, {
    method: "POST",
    headers: credentials,
    body: JSON.stringify({
      model: SERVED_MODEL,
      max_tokens: ENDLESS,
      messages: [{ role: "user", content: "Go on." }],
      ...body,
    }),
    ...(signal !== undefined && { signal }),
  });
}

/** Reads a stream until a text delta is in it; the rest stays to be read with `rest`. */
async function firstText(
  response: Response,
): Promise<{ read: string; rest(): Promise<{ text: string; cut: boolean }> }> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let read = "";
  while (!/"text_delta"|"content":"[^"]/.test(read)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended before any text: ${read}`);
    read += value;
  }
  const rest = async () => {
    let text = read;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { text, cut: false };
        text += value;
      }
    } catch {
      return { text, cut: true };
    }
  };
  return { read, rest };
}

describe("a client that leaves", () => {
  let vllm: Vllm;
  let evener: RunningEvener;
  beforeAll(async () => {
    vllm = await startVllm({ model: "tinyqwen3", template: "refusing" });
    evener = await startEvener({ engines: [vllm.url] });
  });
  afterAll(async () => {
    await evener?.stop();
    await vllm?.stop();
  });

  /** The row of the last request, once it is settled. */
  const settled = async (rowsBefore: number) => {
    for (;;) {
      const rows = await usageRows(evener);
      if (rows.length > rowsBefore) return rows.at(-1)!;
      await sleep(50);
    }
  };

  it.each<Wire>(["anthropic", "openai"])("stops the engine in the middle of a stream: %s", async (wire) => {
    const rows = await usageRows(evener);
    const before = await vllm.counters();
    const leaving = new AbortController();
    await firstText(await post(evener, wire, { stream: true }, leaving.signal));
    leaving.abort();
    await vllm.idle();
    const after = await vllm.counters();
    expect(after.generationTokens - before.generationTokens).toBeLessThan(ENDLESS);
    const row = await settled(rows.length);
    expect(row.outcome).toBe("client_gone");
    expect(promptTokens(row)).toBe(after.promptTokens - before.promptTokens);
    // What was written between the gateway's last look and the engine's end of it cannot be known to anybody but the engine.
    expect(row.output).toBeGreaterThan(0);
    expect(row.output).toBeLessThanOrEqual(after.generationTokens - before.generationTokens);
  });

  it.each<Wire>(["anthropic", "openai"])("stops the engine when it did not stream: %s", async (wire) => {
    const rows = await usageRows(evener);
    const leaving = new AbortController();
    const answer = post(evener, wire, { stream: false }, leaving.signal);
    while ((await vllm.running()) === 0) await sleep(20);
    leaving.abort();
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
    await vllm.idle();
    expect(await settled(rows.length)).toMatchObject({ outcome: "client_gone" });
  });

  it.each<Wire>(["anthropic", "openai"])("stops the engine before the first token: %s", async (wire) => {
    const rows = await usageRows(evener);
    const before = await vllm.counters();
    const leaving = new AbortController();
    // A prompt that takes this engine many seconds to read, and that is in no cache.
    const content = `${wire} ${Array.from({ length: 30_000 }, (_, index) => index % 977).join(" ")}`;
    const answer = post(evener, wire, { stream: true, messages: [{ role: "user", content }] }, leaving.signal);
    while ((await vllm.running()) === 0) await sleep(20);
    leaving.abort();
    await answer.then(
      (response) => response.body?.cancel(),
      () => {},
    );
    await vllm.idle();
    const after = await vllm.counters();
    expect(after.generationTokens).toBe(before.generationTokens);
    expect(await settled(rows.length)).toMatchObject({ outcome: "client_gone", output: 0 });
  });

  it("may have put system messages where the engine's template refuses them", async () => {
    const anthropic = new Anthropic({ baseURL: evener.url, apiKey: evener.key, maxRetries: 0 });
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "Go on" },
      { role: "system", content: "The user is in a hurry." },
    ] as Anthropic.MessageParam[];
    const answer = await anthropic.messages.create({ model: SERVED_MODEL, max_tokens: 5, messages });
    expect(answer.usage.output_tokens).toBe(5);
  });
});

describe.each(["engine", "server"] as const)(
  "an engine that dies in the middle of a stream (its %s process)",
  (what) => {
    let vllm: Vllm;
    let evener: RunningEvener;
    beforeAll(async () => {
      vllm = await startVllm({ model: "tinyqwen3", toBeKilled: true });
      evener = await startEvener({ engines: [vllm.url] });
    });
    afterAll(async () => {
      await evener?.stop();
      await vllm?.stop();
    });

    it("ends the answers with an error, never with a finish, and is billed for what it wrote", async () => {
      const [messages, chat] = await Promise.all([
        post(evener, "anthropic", { stream: true }).then(firstText),
        post(evener, "openai", { stream: true }).then(firstText),
      ]);
      vllm.kill(what);
      const anthropicEnd = await messages.rest();
      const openaiEnd = await chat.rest();

      expect(anthropicEnd.text).toMatch(/event: error\ndata: \{"type":"error","error":\{"type":"api_error"/);
      expect(anthropicEnd.text).not.toContain("message_stop");
      expect(anthropicEnd.text).not.toContain('"stop_reason":"');
      expect(openaiEnd.text).toMatch(/data: \{"error":\{/);
      expect(openaiEnd.text).not.toMatch(/"finish_reason":"|\[DONE\]/);
      // Nobody reads of the engine's insides.
      for (const { text } of [anthropicEnd, openaiEnd]) expect(text).not.toMatch(/EngineDead|Traceback|127\.0\.0\.1/);

      const rows = await usageRows(evener);
      expect(rows.map((row) => row.outcome)).toEqual(["engine_died", "engine_died"]);
      for (const row of rows) expect(row.output).toBeGreaterThan(0);
    });

    it("is then said to be down, with advice when to try again", async () => {
      // The HTTP server of an engine that lost its model needs a moment to end, and answers 500 until then.
      let answer = await post(evener, "anthropic", {});
      while (answer.status === 502) answer = await post(evener, "anthropic", {});
      expect(answer.status).toBe(529);
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await answer.json()).toMatchObject({ type: "error", error: { type: "overloaded_error" } });
      const other = await post(evener, "openai", {});
      expect(other.status).toBe(503);
      expect(Number(other.headers.get("retry-after"))).toBeGreaterThan(0);
    });
  },
);
