/** What real clients of OpenAI's wire do, and what their users see, when a budget is spent. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { gitRepository, runAider } from "../../support/client-aider.ts";
import { runCodex } from "../../support/client-codex.ts";
import { installAider, installCodex, installOpenCode, installQwenCode } from "../../support/client-install.ts";
import { runOpenCode } from "../../support/client-opencode.ts";
import { runQwen } from "../../support/client-qwen.ts";
import { story } from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";
import { type Payers, payersOf } from "../../support/payers.ts";

const SENTENCE =
  /The monthly budget of this tenant \(0\.00 USD\) is spent: wait until \d{4}-\d\d-01 00:00 UTC, or ask whoever runs this gateway for more\./;

let stand: ClientStand;
let payers: Payers;
let spent: { url: string; key: string };
let mark: Mark;

beforeAll(async () => {
  stand = await startClientStand();
  payers = payersOf(stand.evener);
  await payers.price(stand.simulator.model, { input: "1", cacheRead: "0.1", output: "5" });
  const { tenant, key } = await payers.payer();
  await payers.budget({ tenant }, "month", "0");
  spent = { url: stand.evener.url, key };
});

afterAll(() => stand?.stop());

beforeEach(async () => {
  mark = await stand.mark();
});

it("OpenCode ends at once, with our sentence", async () => {
  const run = await runOpenCode(spent, {
    binary: await installOpenCode(),
    wire: "openai-chat",
    model: stand.simulator.model,
    prompt: "hello",
    cwd: stand.folder(),
    args: ["--title", "Hello"],
    timeoutMs: 60_000,
  });
  expect(run).toMatchObject({ code: 1 });
  expect(run.events).toMatchObject([
    {
      type: "error",
      error: { data: { statusCode: 402, isRetryable: false, message: expect.stringMatching(SENTENCE) } },
    },
  ]);
  expect(story(await mark.rows())).toEqual(["error: budget_exceeded"]);
});

it("Qwen Code ends at once, with our sentence", async () => {
  const run = await runQwen(spent, {
    client: await installQwenCode(),
    model: stand.simulator.model,
    prompt: "hello",
    cwd: stand.folder(),
    timeoutMs: 60_000,
  });
  expect(run.result).toMatchObject({ result: expect.stringMatching(SENTENCE) });
  expect(story(await mark.rows())).toEqual(["error: budget_exceeded"]);
});

it("Codex tries again for seconds, and ends with our sentence", async () => {
  const started = performance.now();
  const run = await codex(spent.key);
  // Not until the month's end: Codex would wait as long as a `retry-after` said.
  expect(performance.now() - started).toBeLessThan(30_000);
  expect(run).toMatchObject({ code: 1 });
  expect(run.events.at(-1)).toMatchObject({
    type: "turn.failed",
    error: { message: expect.stringMatching(/^unexpected status 402 Payment Required: The monthly budget/) },
  });
  expect(run.stdout).toMatch(SENTENCE);
  expect(story(await mark.rows())).toEqual(Array.from({ length: 6 }, () => "error: budget_exceeded"));
});

it("Codex fails on an answer that the money ends, keeps what came of it, and asks for no more", async () => {
  stand.simulator.setScript([{ answer: { text: "word ".repeat(20_000), delay: 2 } }]);
  const { tenant, key } = await payers.payer();
  await payers.budget({ tenant }, "month", "0.02");
  const run = await codex(key);
  expect(run).toMatchObject({ code: 1 });
  expect(run.events.at(-1)).toMatchObject({
    type: "turn.failed",
    error: { message: "Incomplete response returned, reason: max_output_tokens" },
  });
  expect(run.items.at(-1)).toMatchObject({ type: "agent_message", text: expect.stringMatching(/^word word word/) });
  const rows = await mark.rows();
  expect(story(rows)).toEqual(["ok"]);
  expect(rows[0]).toMatchObject({ finish_reason: "length", cut_by: "tenant month budget" });
});

it("aider shows our sentence each time that it tries, which it does for a minute", async () => {
  const cwd = stand.folder();
  gitRepository(cwd, { "a.txt": "a\n" });
  const run = await runAider(spent, {
    python: await installAider(),
    model: stand.simulator.model,
    message: "hello",
    files: ["a.txt"],
    cwd,
    timeoutMs: 300_000,
  });
  expect(run.stdout.replaceAll(/\s+/g, " ")).toMatch(SENTENCE);
  const rows = story(await mark.rows());
  expect(new Set(rows)).toEqual(new Set(["error: budget_exceeded"]));
  // 0.2 to 32 seconds between them, and no more: it doubles the pause up to a minute.
  expect(rows.length).toBeLessThan(12);
});

async function codex(key: string) {
  return runCodex(
    { url: stand.evener.url, key },
    {
      binary: await installCodex(),
      model: stand.simulator.model,
      prompt: "hello",
      home: stand.folder(),
      cwd: stand.folder(),
      timeoutMs: 120_000,
    },
  );
}
