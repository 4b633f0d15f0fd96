/**
 * Requests on a real vLLM that do not come to their end: the client leaves, a stop sequence comes, or the engine dies. The
 * model has random weights, so it writes until its limit, and fast.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { promptTokens, usageRows } from "../support/usage.ts";
import { SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

/** More than it can write while a test runs, so that an end before this is an abort. */
const ENDLESS = 100_000;

/** Of a stop sequence: more than most tokens have, so that it comes in pieces. */
const LETTERS = 12;

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

/** A few letters of a text that do not come before, from its middle where it does not repeat itself, and what stands before. */
function stopWithin(text: string): { stop: string; shown: string } {
  const middle = Math.floor(text.length / 2);
  const places = Array.from(
    { length: text.length - LETTERS },
    (_, index) => (index + middle) % (text.length - LETTERS),
  );
  for (const at of places) {
    const stop = text.slice(at, at + LETTERS);
    if (at > 0 && text.indexOf(stop) === at && !stop.includes("\ufffd")) return { stop, shown: text.slice(0, at) };
  }
  throw new Error(`no part of this text is its first of that kind: ${text}`);
}

describe("an engine that would write on", () => {
  let vllm: Vllm;
  let evener: RunningEvener;
  let anthropic: Anthropic;
  beforeAll(async () => {
    vllm = await startVllm({ model: "tinyqwen3", template: "refusing" });
    evener = await startEvener({ engines: [vllm.url] });
    anthropic = new Anthropic({ baseURL: evener.url, apiKey: evener.key, maxRetries: 0 });
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

  describe("when its client leaves", () => {
    it.each<Wire>(["anthropic", "openai"])("is stopped in the middle of a stream: %s", async (wire) => {
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

    it.each<Wire>(["anthropic", "openai"])("is stopped when it did not stream: %s", async (wire) => {
      const rows = await usageRows(evener);
      const leaving = new AbortController();
      const answer = post(evener, wire, { stream: false }, leaving.signal);
      while ((await vllm.running()) === 0) await sleep(20);
      leaving.abort();
      await expect(answer).rejects.toMatchObject({ name: "AbortError" });
      await vllm.idle();
      expect(await settled(rows.length)).toMatchObject({ outcome: "client_gone" });
    });

    it.each<Wire>(["anthropic", "openai"])("is stopped before the first token: %s", async (wire) => {
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
  });

  describe("when a stop sequence comes", () => {
    const messages = [{ role: "user" as const, content: "Say something long." }];

    /** Until the engine's end of this request: it wrote little more than what it is billed for. */
    const ended = async <T>(ask: () => Promise<T>): Promise<T> => {
      const rows = await usageRows(evener);
      const before = await vllm.counters();
      const answer = await ask();
      await vllm.idle();
      const { generationTokens } = await vllm.counters();
      const written = generationTokens - before.generationTokens;
      expect(written).toBeLessThan(ENDLESS);
      const row = await settled(rows.length);
      expect(row).toMatchObject({ outcome: "ok", counted_by: "engine" });
      expect(row.output).toBeGreaterThan(0);
      expect(row.output).toBeLessThanOrEqual(written);
      return answer;
    };

    it.each(["streamed", "whole"])("ends the answer and is named to Anthropic's clients: %s", async (how) => {
      const asked = { model: SERVED_MODEL, messages };
      const { content } = await anthropic.messages.create({ ...asked, max_tokens: 100 });
      const { stop, shown } = stopWithin(content.map((block) => (block.type === "text" ? block.text : "")).join(""));
      const params = { ...asked, max_tokens: ENDLESS, stop_sequences: ["\n\nNEVER", stop] };
      const answer = await ended(() =>
        how === "streamed"
          ? anthropic.messages.stream(params).finalMessage()
          : // The SDK refuses to wait for so long an answer unless it is told how long.
            anthropic.messages.create({ ...params, stream: false }, { timeout: 600_000 }),
      );
      expect(answer).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: stop });
      expect(answer.content).toMatchObject([{ type: "text", text: shown }]);
    });

    it.each(["streamed", "whole"])("ends the answer for OpenAI's clients: %s", async (how) => {
      const openai = new OpenAI({ baseURL: `${evener.url}/v1`, apiKey: evener.key, maxRetries: 0 });
      // So that it does not repeat itself, and the sequence comes late.
      const asked = { model: SERVED_MODEL, messages, frequency_penalty: 2 };
      const whole = await openai.chat.completions.create({ ...asked, max_tokens: 100 });
      const { stop, shown } = stopWithin(whole.choices[0]!.message.content ?? "");
      const params = { ...asked, max_tokens: ENDLESS, stop: ["\n\nNEVER", stop] };
      const { choices } = await ended(() =>
        how === "streamed"
          ? openai.chat.completions.stream(params).finalChatCompletion()
          : openai.chat.completions.create({ ...params, stream: false }),
      );
      expect(choices).toMatchObject([{ finish_reason: "stop", message: { content: shown } }]);
    });
  });

  it("gets system messages where its template takes them", async () => {
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
      // Both at once: of a stream that nobody reads while it is cut, fetch throws away what it has.
      const [anthropicEnd, openaiEnd] = await Promise.all([messages.rest(), chat.rest()]);

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
