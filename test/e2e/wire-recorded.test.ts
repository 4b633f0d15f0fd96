/**
 * Every request that was recorded on a real vLLM 0.32.0, sent through the gateway; the engine behind it answers with what
 * vLLM answered, byte for byte. Where vLLM's own answer falls short, the right one is asserted (the list is in WRONG).
 */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { type Expected, EXPECTED, type RecordedCase, UNSENT } from "../support/wire-recorded.ts";
import { DONE, role, say, streamOf } from "../support/wire-chunks.ts";
import { type WireAnswer, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import {
  JUDGES,
  type Received,
  type WireName,
  readWhole,
  request as send,
  startWithConfig,
} from "../support/wire-gateway.ts";
import type { Verdict } from "../support/wire-verdict.ts";

const FIXTURES = new URL("../fixtures/vllm-0.32.0/", import.meta.url);
const load = (name: string) =>
  JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), "utf8")) as Record<string, RecordedCase>;
const PLAIN = load("plain");
const REASONING = Object.fromEntries(
  // Recorded with a reasoning parser: the same requests, so only the answers were kept.
  Object.entries(load("reasoning")).map(([name, recorded]) => [name, { ...PLAIN[name], ...recorded }]),
);

let engine: WireEngine;
let evener: RunningEvener;

beforeAll(async () => {
  engine = await startWireEngine();
  evener = await startWithConfig(engine.url, { models: { "test-model": { reasoning_replay: "reasoning" } } });
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => {
  engine.tokens = 40;
  engine.drop();
});

const wireOf = (name: string): WireName => (name.startsWith("ant-") ? "anthropic" : "openai");

describe.each([
  ["a plain vLLM", PLAIN],
  ["a vLLM with a reasoning parser", REASONING],
] as const)("Recorded on %s", (_engine, cases) => {
  for (const wire of ["anthropic", "openai"] as const) {
    const names = Object.keys(cases).filter((name) => wireOf(name) === wire && !UNSENT.has(name));
    it.each(names)(`${wire} > %s`, async (name) => {
      const recorded = cases[name]!;
      const expected = EXPECTED[name] ?? {};
      if (expected.tokens !== undefined) engine.tokens = expected.tokens;
      const played = playback(name, recorded, cases, expected);
      engine.next(...played.answers);
      const answer = await sendRecorded(recorded);
      check(answer, wire, recorded, expected, played.said && untilStop(played.said, wire, recorded.request));
      if (played.said !== undefined) expect(engine.lastBody()).not.toHaveProperty("stop");
      if (expected.engine !== undefined) expect(engine.lastBody()).toMatchObject(expected.engine);
      if (expected.prompt !== undefined) {
        const prompt = JSON.stringify(engine.lastBody().messages);
        for (const text of [expected.prompt].flat()) expect(prompt).toMatch(text);
      }
    });
  }
});

/** The long prompts were cut out of the recording; their length is what matters. */
const LONG = "hello world ".repeat(4_600);

function sendRecorded(recorded: RecordedCase): Promise<Received> {
  const { method, path, headers, request } = recorded;
  const body = typeof request === "string" ? request : JSON.stringify(request).replace("@@LONG@@", LONG);
  return send(evener, path.replace("/messages/render", "/messages"), {
    method,
    headers,
    ...(request !== null && { body }),
  });
}

type Said = Pick<Verdict, "text" | "reasoning" | "calls"> & { reason: string; prompt?: number; output?: number };

/**
 * What the engine answers on its chat endpoint. Anthropic's cases were answered by vLLM's own translation: the chat answer
 * is made of what that said.
 */
function playback(
  name: string,
  recorded: RecordedCase,
  cases: Readonly<Record<string, RecordedCase>>,
  expected: Expected,
): { answers: WireAnswer[]; said: Said | undefined } {
  if (expected.body !== undefined) return { answers: [], said: undefined };
  if (name === "ant-stream-engine-killed-midway") return { answers: [killedMidway(recorded, cases)], said: undefined };
  const instead = expected.answeredAs === undefined ? recorded : cases[expected.answeredAs];
  if (instead === undefined) throw new Error(`${name} is answered as a case that is not there`);
  const { status, type, answer } = instead;
  if (status !== 200)
    return { answers: [{ status, headers: { "content-type": type }, steps: [answer] }], said: undefined };
  const stream = type === "text/event-stream";
  if (wireOf(expected.answeredAs ?? name) === "openai") {
    const chat: WireAnswer = {
      steps: stream ? [answer] : streamOf(JSON.parse(answer) as Parameters<typeof streamOf>[0]),
    };
    const said = stream ? JUDGES.openai(answer) : readWhole("openai", answer);
    // Asked again where it was empty, it answers the same.
    return { answers: [chat, chat], said: { ...said, reason: said.reason ?? "", ...usageOf(answer) } };
  }
  const verdict = stream ? JUDGES.anthropic(answer) : readWhole("anthropic", answer);
  const finish = { end_turn: "stop", max_tokens: "length", tool_use: "tool_calls", stop_sequence: "stop" }[
    verdict.reason ?? ""
  ];
  const chat = streamOf({
    choices: [
      {
        message: {
          content: verdict.text,
          reasoning: verdict.reasoning,
          tool_calls: verdict.calls.map((call) => ({ id: call.id, function: call })),
        },
        finish_reason: finish ?? "stop",
        stop_reason: /"stop_sequence":"(\w+)"/.exec(answer)?.[1] ?? null,
      },
    ],
    usage: { prompt_tokens: 40, completion_tokens: 7, total_tokens: 47 },
  });
  return { answers: [{ steps: chat }, { steps: chat }], said: { ...verdict, reason: verdict.reason ?? "" } };
}

/** What the client should see of an answer whose text holds one of its stop sequences. */
function untilStop(said: Said, wire: WireName, sent: RecordedCase["request"]): Said {
  if (typeof sent !== "object" || sent === null) return said;
  const stops = (sent["stop_sequences"] ?? sent["stop"] ?? []) as string[];
  const at = stops.map((stop) => said.text.indexOf(stop)).find((place) => place >= 0);
  if (at === undefined) return said;
  return { ...said, text: said.text.slice(0, at), reason: wire === "anthropic" ? "stop_sequence" : "stop" };
}

/** What its chat endpoint sends when the engine core dies: what was said so far, an error event, and `[DONE]`. */
function killedMidway(recorded: RecordedCase, cases: Readonly<Record<string, RecordedCase>>): WireAnswer {
  const { text } = JUDGES.anthropic(recorded.answer);
  return { steps: [role, say(text), `data: ${cases["oai-after-engine-death"]?.answer}\n\n`, DONE] };
}

function usageOf(answer: string): { prompt?: number; output?: number } {
  const prompt = /"prompt_tokens":(\d+)/.exec(answer)?.[1];
  const output = [...answer.matchAll(/"completion_tokens":(\d+)/g)].at(-1)?.[1];
  return prompt === undefined || output === undefined ? {} : { prompt: Number(prompt), output: Number(output) };
}

function check(
  answer: Received,
  wire: WireName,
  recorded: RecordedCase,
  expected: Expected,
  said: Said | undefined,
): void {
  const status = expected.status ?? 200;
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
  if (!recorded.path.startsWith("/v1/models"))
    expect(answer.headers[wire === "anthropic" ? "request-id" : "x-request-id"]).toMatch(/^req_/);
  for (const [name, value] of Object.entries(expected.headers ?? {})) expect(answer.headers[name]).toMatch(value);
  if (status !== 200) {
    const { error, ...envelope } = JSON.parse(answer.text) as {
      error: { type: string; message: string };
      type?: string;
    };
    if (wire === "anthropic")
      expect(envelope).toMatchObject({ type: "error", request_id: expect.stringMatching(/^req_/) });
    expect(error.type).toBe(expected.type);
    expect(error.message).toMatch(expected.message ?? /./);
    return;
  }
  if (expected.body !== undefined) return void expect(JSON.parse(answer.text)).toMatchObject(expected.body);
  const streamed = typeof recorded.request === "object" && recorded.request?.["stream"] === true;
  if (!streamed) {
    compare(readWhole(wire, answer.text), said, wire);
    return;
  }
  const verdict = JUDGES[wire](answer.text);
  expect(verdict.problems).toEqual([]);
  if (expected.error !== undefined) {
    expect(verdict).toMatchObject({ end: "error", error: expected.error });
    expect(answer.complete).toBe(false);
    return;
  }
  expect(verdict.end).toBe("finish");
  compare(verdict, said, wire);
}

/** The gateway's words when the model said nothing that a client could show. */
const NOTHING_SAID = expect.stringContaining("no text and no tool call") as unknown as string;

function compare(
  got: Pick<Verdict, "text" | "reasoning" | "calls" | "reason">,
  said: Said | undefined,
  wire: WireName,
): void {
  if (said === undefined) throw new Error("nothing to compare with");
  const { text, reasoning, calls, reason } = said;
  const empty = text === "" && calls.length === 0 && !["length", "max_tokens"].includes(reason);
  expect(got.reasoning).toBe(reasoning);
  expect(got.text).toEqual(empty ? NOTHING_SAID : text);
  const plain = (list: Verdict["calls"]) => list.map((call) => [call.name, JSON.parse(call.arguments) as unknown]);
  expect(plain(got.calls)).toEqual(plain(calls));
  // vLLM says `stop` after a forced call, and `tool_use` where none was parsed: a harness would wait for a call, or end.
  const called = wire === "anthropic" ? "tool_use" : "tool_calls";
  const over = wire === "anthropic" ? "end_turn" : "stop";
  const right = ["stop", "end_turn", "tool_use", "tool_calls"].includes(reason)
    ? calls.length > 0
      ? called
      : over
    : reason;
  expect(got.reason).toBe(wire === "anthropic" && right === "length" ? "max_tokens" : right);
}
