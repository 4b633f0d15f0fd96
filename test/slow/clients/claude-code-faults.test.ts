/** What the real Claude Code does, and what its user sees, when the engine behind the gateway fails in the middle of a session. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  CLAUDE_VERSIONS,
  type ClaudeRun,
  type ClaudeVersion,
  installClaude,
  PRINT_EVENTS,
  runClaude,
} from "../../support/claude.ts";
import {
  ANSWER_OVERFLOW,
  type FaultySession,
  faultySession,
  IN_ARGUMENTS,
  IN_ARGUMENTS_AFTER_TEXT,
  IN_TEXT,
  PROMPT,
  PROMPT_OVERFLOW,
  PROOF,
  story,
} from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";

const WINDOW = 150_000;

/** The text block is over, so neither version sends the request again. */
const BEHIND_FINISHED_TEXT = {
  "2.1.330": {
    end: { code: 0, result: { is_error: false, result: expect.stringMatching(/^Done\. /) } },
    asked: [
      {
        message: { content: [{ text: expect.stringMatching(/^Your response above was cut off mid-stream\. Resume/) }] },
      },
    ],
    // It keeps the text and asks for more: another prompt, so no repeat.
    rows: ["ok", "engine_died: engine_cut", "ok", "ok", "ok"],
  },
  "2.1.197": {
    end: {
      code: 1,
      result: {
        is_error: true,
        result: "API Error: the engine closed the connection before its answer was complete; retry your request",
      },
    },
    asked: [],
    rows: ["ok", "engine_died: engine_cut"],
  },
} satisfies Record<ClaudeVersion, object>;

let stand: ClientStand;

beforeAll(async () => {
  stand = await startClientStand({ simulator: { maxModelLen: WINDOW }, timeouts: { probe_ms: 500 } });
});

afterAll(() => stand?.stop());

describe.each(CLAUDE_VERSIONS)("Claude Code %s", (version: ClaudeVersion) => {
  let binary: string;
  let work: string;
  let mark: Mark;

  beforeAll(async () => {
    binary = await installClaude(version);
  });

  beforeEach(async () => {
    work = stand.folder();
    mark = await stand.mark();
  });

  async function play(session: FaultySession, key = stand.evener.key): Promise<ClaudeRun> {
    stand.simulator.setScript(faultySession(session));
    return run(key);
  }

  const run = (key = stand.evener.key): Promise<ClaudeRun> =>
    runClaude({ url: stand.evener.url, key }, { binary, args: ["-p", PROMPT, ...PRINT_EVENTS], cwd: work });

  /** The session came to its end, as if nothing had been. */
  function expectDone(run: ClaudeRun): void {
    expect(run).toMatchObject({ code: 0, result: { subtype: "success", is_error: false } });
    expect(run.result?.["result"]).toMatch(/^Done\. The command printed "sum=42"/);
    expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
  }

  const retries = (run: ClaudeRun) => run.events.filter(({ subtype }) => subtype === "api_retry");

  it("waits as long as a 429 says, and goes on", async () => {
    const run = await play({ fault: { kind: "http", status: 429, headers: { "retry-after": "2" } } });
    expectDone(run);
    expect(retries(run)).toMatchObject([{ error_status: 429, error: "rate_limit" }]);
    expect(retries(run)[0]!["retry_delay_ms"]).toBeGreaterThanOrEqual(2_000);
    expect(story(await mark.rows())).toEqual(["ok", "error: rate_limited", "ok", "ok", "ok"]);
  });

  it("tries again after a 500", async () => {
    const run = await play({ fault: { kind: "http", status: 500 } });
    expectDone(run);
    expect(retries(run)).toMatchObject([{ error_status: 502, error: "server_error" }]);
    expect(story(await mark.rows())).toEqual(["ok", "engine_died: engine_failed", "ok", "ok", "ok"]);
  });

  it.each<[string, FaultySession, string]>([
    ["text that breaks off", { fault: { kind: "cut", after: IN_TEXT } }, "engine_cut"],
    ["a call that breaks off", { fault: { kind: "cut", after: IN_ARGUMENTS }, silent: true }, "engine_cut"],
    ["an error of the engine's in its text", { fault: { kind: "error", after: IN_TEXT } }, "engine_failed"],
  ])("sends it all again, not streamed, after %s", async (_what, session, code) => {
    const run = await play(session);
    expectDone(run);
    const rows = await mark.rows();
    expect(story(rows)).toEqual(["ok", `engine_died: ${code}`, "whole ok (repeats 2)", "ok", "ok"]);
    // The broken answer is on the bill as far as it came.
    expect(rows[1]!.output).toBeGreaterThan(0);
    expect(rows[1]!.output).toBeLessThan(rows[2]!.output);
  });

  it("asks for the rest (newer) or gives up (older) after a call that breaks off behind finished text", async () => {
    const finished = await play({ fault: { kind: "cut", after: IN_ARGUMENTS_AFTER_TEXT } });
    const { end, asked, rows } = BEHIND_FINISHED_TEXT[version];
    expect(finished).toMatchObject(end);
    expect(finished.events.filter(({ type, isSynthetic }) => type === "user" && isSynthetic === true)).toMatchObject(
      asked,
    );
    expect(story(await mark.rows())).toEqual(rows);
  });

  it("compacts when the prompt does not fit, and goes on", async () => {
    // The older version does not compact a conversation of a single turn.
    const env = { HOME: stand.folder() };
    stand.simulator.setScript(() => ({ text: "Hello." }));
    const args = (prompt: string, ...more: string[]) => [...more, "-p", prompt, ...PRINT_EVENTS];
    const say = (prompt: string, ...more: string[]): Promise<ClaudeRun> =>
      runClaude(stand.evener, { binary, args: args(prompt, ...more), cwd: work, env });
    await say("hello");
    await say("hello again", "--continue");
    mark = await stand.mark();
    stand.simulator.setScript(faultySession({ fault: PROMPT_OVERFLOW }));
    const finished = await say(PROMPT, "--continue");
    expectDone(finished);
    expect(finished.events.filter(({ subtype }) => subtype === "compact_boundary")).toHaveLength(1);
    const rows = story(await mark.rows());
    expect(rows.slice(0, 2)).toEqual(["ok", "error: prompt_too_long"]);
    // Then the summary and the rest of the work.
    expect(rows.length).toBeGreaterThan(4);
    expect(new Set(rows.slice(2))).toEqual(new Set(["ok"]));
  });

  it("hears nothing of an answer that does not fit with its prompt: the gateway asks for a shorter one", async () => {
    const run = await play({ fault: ANSWER_OVERFLOW });
    expectDone(run);
    expect(retries(run)).toEqual([]);
    expect(story(await mark.rows())).toEqual(["ok", "ok", "ok", "ok"]);
    const [, refused, fitted] = mark.bodies().map((body) => body["max_tokens"]);
    expect([refused, fitted]).toEqual([WINDOW / 8, WINDOW - 140_000 - 16]);
  });

  it("asks for a shorter answer itself when the engine refuses that, too, and goes on", async () => {
    const run = await play({ fault: ANSWER_OVERFLOW, times: 2 });
    expectDone(run);
    expect(retries(run)).toEqual([]);
    expect(story(await mark.rows())).toEqual(["ok", "error: prompt_too_long", "ok", "ok", "ok"]);
    const [, refused, fitted, again] = mark.bodies().map((body) => body["max_tokens"]);
    expect([refused, fitted, again]).toEqual([WINDOW / 8, WINDOW - 140_000 - 16, WINDOW - 140_000 - 1_000]);
  });

  it("waits for an engine that is down, and goes on when it is back", async () => {
    stand.simulator.setScript(faultySession({ fault: { kind: "http", status: 500 }, times: 0 }));
    const { back } = await stand.goDown();
    const finished = await run();
    await back;
    expectDone(finished);
    expect(retries(finished)[0]).toMatchObject({ error_status: 529, error: "overloaded" });
    expect(story(await mark.rows()).filter((row) => row !== "error: engine_unreachable")).toEqual([
      "ok",
      "ok",
      "ok",
      "ok",
    ]);
  });

  it("fails at once when its key is revoked, and says why", async () => {
    const own = await stand.ownKey();
    const play = faultySession({ fault: { kind: "silence", after: "start", ms: 1_500 } });
    let revoked: Promise<void> | undefined;
    stand.simulator.setScript((request) => {
      if (request.toolResults === 1) revoked ??= own.revoke();
      return play(request);
    });
    const finished = await run(own.key);
    await revoked;
    expect(finished).toMatchObject({ code: 1, result: { is_error: true } });
    expect(finished.result?.["result"]).toContain("this key is not one of this gateway's, or it was revoked");
    expect(retries(finished)).toEqual([]);
    // Each answer was paid for to its end; what was refused has no row.
    expect(story(await mark.rows())).toEqual(["ok", "ok"]);
  });
});
