/** What the real Qwen Code does when the engine behind the gateway fails in the middle of a session. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { installQwenCode } from "../../support/client-install.ts";
import { type QwenRun, runQwen } from "../../support/client-qwen.ts";
import {
  type FaultySession,
  faultySession,
  IN_ARGUMENTS_AFTER_TEXT,
  IN_TEXT,
  PROMPT,
  PROMPT_OVERFLOW,
  PROOF,
  story,
} from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";

let stand: ClientStand;
let client: Awaited<ReturnType<typeof installQwenCode>>;
let work: string;
let mark: Mark;

beforeAll(async () => {
  client = await installQwenCode();
  stand = await startClientStand({ simulator: { maxModelLen: 150_000 }, timeouts: { probe_ms: 500 } });
});

afterAll(() => stand?.stop());

beforeEach(async () => {
  work = stand.folder();
  mark = await stand.mark();
});

const run = (key = stand.evener.key): Promise<QwenRun> =>
  runQwen(
    { url: stand.evener.url, key },
    { client, model: stand.simulator.model, prompt: PROMPT, cwd: work, timeoutMs: 120_000 },
  );

function play(session: FaultySession): Promise<QwenRun> {
  stand.simulator.setScript(faultySession({ ...session, directory: work }));
  return run();
}

function expectDone(run: QwenRun): void {
  expect(run).toMatchObject({ code: 0, result: { subtype: "success", is_error: false } });
  expect(run.result?.["result"]).toMatch(/^Done\. The command printed /);
  expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
}

// Its SDK waits as told and asks up to three times; only then does Qwen Code itself wait a minute and more (docs/clients.md).
it("waits as long as a 429 says, and goes on", async () => {
  expectDone(await play({ fault: { kind: "http", status: 429, headers: { "retry-after": "2" } } }));
  expect(story(await mark.rows())).toEqual(["ok", "error: rate_limited", "ok", "ok", "ok"]);
});

it("tries again after a 500", async () => {
  expectDone(await play({ fault: { kind: "http", status: 500 } }));
  expect(story(await mark.rows())).toEqual(["ok", "engine_died: engine_failed", "ok", "ok", "ok"]);
});

it.each<[string, FaultySession, string, RegExp]>([
  ["text that breaks off", { fault: { kind: "cut", after: IN_TEXT } }, "engine_cut", /closed the connection before/],
  [
    "a call that breaks off",
    { fault: { kind: "cut", after: IN_ARGUMENTS_AFTER_TEXT } },
    "engine_cut",
    /closed the connection before/,
  ],
  [
    "an error of the engine's in its text",
    { fault: { kind: "error", after: IN_TEXT } },
    "engine_failed",
    /the engine failed \(500\): EngineCore encountered an issue/,
  ],
])(
  "gives the session up after %s, in our words, and never takes it for an answer",
  async (_what, session, code, words) => {
    const finished = await play(session);
    // Exit code and `is_error` tell of a success; that is the client's own.
    expect(finished).toMatchObject({ code: 0, result: { subtype: "success", is_error: false } });
    expect(finished.result?.["result"]).toMatch(/\[API Error: the engine [^\]]*\]$/);
    expect(finished.result?.["result"]).toMatch(words);
    expect(existsSync(join(work, "proof.txt"))).toBe(false);
    const rows = await mark.rows();
    expect(story(rows)).toEqual(["ok", `engine_died: ${code}`]);
    expect(rows[1]!.output).toBeGreaterThan(0);
  },
);

it("compacts when the prompt does not fit, and goes on", async () => {
  const finished = await play({ fault: PROMPT_OVERFLOW });
  expectDone(finished);
  const rows = story(await mark.rows());
  expect(rows.slice(0, 2)).toEqual(["ok", "error: prompt_too_long"]);
  // The summary is asked for without a stream.
  expect(rows[2]).toBe("whole ok");
  expect(new Set(rows.slice(3))).toEqual(new Set(["ok"]));
});

it("waits for an engine that is down, and goes on when it is back", async () => {
  stand.simulator.setScript(faultySession({ fault: { kind: "http", status: 500 }, times: 0, directory: work }));
  const { back } = await stand.goDown();
  const finished = await run();
  await back;
  expectDone(finished);
  const rows = story(await mark.rows());
  expect(rows.filter((row) => row !== "error: engine_unreachable")).toEqual(["ok", "ok", "ok", "ok"]);
});

it("fails at once with a key that is not known, and says why", async () => {
  const finished = await run("sk-evener-unknown");
  expect(finished.result?.["result"]).toBe("[API Error: 401 this key is not one of this gateway's, or it was revoked]");
  expect(await mark.rows()).toEqual([]);
});
