/**
 * Money that ends in the middle of an answer of a real vLLM: the client reads `max_tokens` (or `length`), the engine is stopped, and what is
 * billed is what was paid for. The model has random weights, so it would write until its limit.
 */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { succeeding } from "../support/succeeding.ts";
import { promptTokens, type UsageRow, usageRows } from "../support/usage.ts";
import { waitUntil } from "../support/wait-until.ts";
import { SERVED_MODEL, type Vllm, startVllm } from "./support/vllm.ts";

/** More than the money pays for, many times. */
const ENDLESS = 100_000;

/** USD a million tokens; the limits pay for not quite 2,000 tokens of output beside the prompt. */
const PRICE = ["--input", "1", "--cache-read", "1", "--output", "10"];
const LIMIT = "0.02";
const NANO_LIMIT = 20_000_000n;

/** What may come between the gateway's last look and the engine's end of it, in seconds of its writing. */
const LATE_SECONDS = 2;

const LIMITS = [
  { limit: "credit", cutBy: "account" },
  { limit: "a budget of the tenant", cutBy: "tenant month budget" },
] as const;

describe("an answer that outruns its money on a real vLLM", () => {
  let vllm: Vllm;
  let evener: RunningEvener;

  const cli = (...args: string[]): Promise<string> => succeeding(evener, ...args);

  beforeAll(async () => {
    vllm = await startVllm({ model: "tinyqwen3", core: 0 });
    evener = await startEvener({ engines: [vllm.url] });
    await cli("price", "set", SERVED_MODEL, ...PRICE);
  });
  afterAll(async () => {
    await evener?.stop();
    await vllm?.stop();
  });

  let tenants = 0;

  /** A tenant of this name with this limit and no other, and its key. */
  const keyWith = async (tenant: string, cutBy: (typeof LIMITS)[number]["cutBy"]): Promise<string> => {
    await cli("tenant", "create", tenant, cutBy === "account" ? "--prepaid" : "--postpaid");
    if (cutBy === "account") await cli("tenant", "credit", tenant, LIMIT);
    else await cli("budget", "set", "--tenant", tenant, "--period", "month", "--amount", LIMIT);
    return (JSON.parse(await cli("key", "create", "--tenant", tenant, "--json")) as { key: string }).key;
  };

  const rowOf = async (tenant: string): Promise<UsageRow> => {
    let row: UsageRow | undefined;
    const isThere = async () => (row = (await usageRows(evener)).find((one) => one.tenant === tenant)) !== undefined;
    await waitUntil(`the usage row of ${tenant}`, isThere);
    return row!;
  };

  const messages = [{ role: "user" as const, content: "Go on." }];
  const ENDS = {
    anthropic: async (apiKey: string) => {
      const client = new Anthropic({ baseURL: evener.url, apiKey, maxRetries: 0 });
      const asked = client.messages.stream({ model: SERVED_MODEL, max_tokens: ENDLESS, messages });
      const { stop_reason, usage } = await asked.finalMessage();
      return { reason: stop_reason, output: usage.output_tokens };
    },
    openai: async (apiKey: string) => {
      const client = new OpenAI({ baseURL: `${evener.url}/v1`, apiKey, maxRetries: 0 });
      const options = { stream_options: { include_usage: true } };
      const asked = client.chat.completions.stream({ model: SERVED_MODEL, max_tokens: ENDLESS, messages, ...options });
      const { choices, usage } = await asked.finalChatCompletion();
      return { reason: choices[0]?.finish_reason, output: usage?.completion_tokens };
    },
  };

  for (const { limit, cutBy } of LIMITS) {
    it.each([
      ["anthropic", "max_tokens"],
      ["openai", "length"],
    ] as const)(`ends at ${limit}: %s`, async (wire, reason) => {
      const tenant = `tenant-${++tenants}`;
      const key = await keyWith(tenant, cutBy);
      const before = await vllm.counters();
      const startedAt = performance.now();
      const answer = await ENDS[wire](key);
      const seconds = (performance.now() - startedAt) / 1_000;
      await vllm.idle();
      const after = await vllm.counters();
      expect(answer.reason).toBe(reason);

      const row = await rowOf(tenant);
      expect(row).toMatchObject({ outcome: "ok", cut_by: cutBy });
      expect(promptTokens(row) + row.unbilled_prompt).toBe(after.promptTokens - before.promptTokens);
      // The client hears what it has got, which is what is billed and what was written beyond.
      expect(answer.output).toBe(row.output + row.unbilled_output);
      const billed = BigInt(promptTokens(row)) * 1_000n + BigInt(row.output) * 10_000n;
      expect(billed).toBeLessThanOrEqual(NANO_LIMIT);
      // Little of the limit is left: not even so much as one more look would have asked for.
      expect(row.output).toBeGreaterThan(500);
      const written = after.generationTokens - before.generationTokens;
      expect(written).toBeLessThan(ENDLESS / 2);
      expect(row.output + row.unbilled_output).toBeLessThanOrEqual(written);
      expect(written - row.output - row.unbilled_output).toBeLessThanOrEqual((written / seconds) * LATE_SECONDS);
    });
  }
});
