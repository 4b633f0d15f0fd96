/** The built gateway with a configuration of its own, and the two wires as tests speak them. */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type RunningEvener, startEvener } from "./evener.ts";
import { send } from "./simulator.ts";
import { judgeAnthropicStream } from "./wire-anthropic-grammar.ts";
import { judgeOpenaiStream } from "./wire-openai-grammar.ts";
import type { Verdict } from "./wire-verdict.ts";

export type WireName = "anthropic" | "openai";
export const WIRES: readonly WireName[] = ["anthropic", "openai"];

export const PATHS: Readonly<Record<WireName, string>> = {
  anthropic: "/v1/messages",
  openai: "/v1/chat/completions",
};

export const JUDGES: Readonly<Record<WireName, (text: string) => Verdict>> = {
  anthropic: judgeAnthropicStream,
  openai: judgeOpenaiStream,
};

/** `evener up` with an evener.yaml in front of one engine or several. */
export async function startWithConfig(
  engineUrl: string | readonly string[],
  config: object = {},
): Promise<RunningEvener> {
  const directory = mkdtempSync(join(tmpdir(), "evener-wire-"));
  const file = join(directory, "evener.yaml");
  writeFileSync(file, stringify(config));
  const evener = await startEvener({ engines: [engineUrl].flat(), args: ["--config", file] }).catch(
    (error: unknown) => {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    },
  );
  return {
    ...evener,
    stop: async () => {
      await evener.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A request that is valid on both wires. */
export function ask(more: object = {}): object {
  return { model: "test-model", max_tokens: 500, messages: [{ role: "user", content: "Hello." }], ...more };
}

/** An answer as it was received; `complete` is false where the connection broke before the end that HTTP knows. */
export type Received = { status: number; headers: Record<string, string>; text: string; complete: boolean };

export async function request(
  evener: RunningEvener,
  path: string,
  sent: { method?: string; body?: unknown; headers?: Record<string, string> },
): Promise<Received> {
  const headers = { authorization: `Bearer ${evener.key}`, ...sent.headers };
  const answer = await send(evener.url + path, { ...sent, headers }).answer;
  return {
    status: answer.status,
    headers: Object.fromEntries(answer.headers.map(([name, value]) => [name.toLowerCase(), value])),
    text: answer.text,
    complete: answer.end === "complete",
  };
}

export function post(
  evener: RunningEvener,
  wire: WireName,
  body: object | string,
  headers: Record<string, string> = {},
): Promise<Received> {
  return request(evener, PATHS[wire], { body, headers });
}

/** Streams an answer with usage, and judges every byte of it. */
export async function stream(
  evener: RunningEvener,
  wire: WireName,
  more: object = {},
): Promise<Received & { verdict: Verdict }> {
  const options = wire === "openai" ? { stream_options: { include_usage: true } } : {};
  const received = await post(evener, wire, ask({ stream: true, ...options, ...more }));
  return { ...received, verdict: JUDGES[wire](received.text) };
}

/** A whole answer in the form of a judged stream, so that the two can be compared. */
export function readWhole(wire: WireName, text: string): Pick<Verdict, "text" | "reasoning" | "calls" | "reason"> {
  if (wire === "anthropic") {
    const message = JSON.parse(text) as Anthropic.Message;
    const blocks = message.content;
    return {
      text: blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join(""),
      reasoning: blocks.flatMap((block) => (block.type === "thinking" ? [block.thinking] : [])).join(""),
      calls: blocks.flatMap((block) =>
        block.type === "tool_use" ? [{ id: block.id, name: block.name, arguments: JSON.stringify(block.input) }] : [],
      ),
      reason: message.stop_reason ?? undefined,
    };
  }
  const [choice] = (JSON.parse(text) as OpenAI.ChatCompletion).choices;
  if (choice === undefined) throw new Error("an answer without a choice");
  const { message } = choice;
  const calls = (message.tool_calls ?? []).filter((call) => call.type === "function");
  return {
    text: message.content ?? "",
    reasoning: "reasoning" in message && typeof message.reasoning === "string" ? message.reasoning : "",
    calls: calls.map((call) => ({ id: call.id, name: call.function.name, arguments: call.function.arguments })),
    reason: choice.finish_reason,
  };
}

export type Clients = { anthropic: Anthropic; openai: OpenAI };

/** The official SDKs without retries of their own. */
export function clients(evener: RunningEvener): Clients {
  return {
    anthropic: new Anthropic({ baseURL: evener.url, authToken: evener.key, apiKey: null, maxRetries: 0 }),
    openai: new OpenAI({ baseURL: `${evener.url}/v1`, apiKey: evener.key, maxRetries: 0 }),
  };
}
