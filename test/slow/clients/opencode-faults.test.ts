/** What the real OpenCode does, by both of its providers, when the engine behind the gateway fails in the middle of a session. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { installOpenCode } from "../../support/client-install.ts";
import { type OpenCodeRun, type OpenCodeWire, runOpenCode } from "../../support/client-opencode.ts";
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

const WINDOW = 150_000;

let stand: ClientStand;
let binary: string;

beforeAll(async () => {
  binary = await installOpenCode();
  stand = await startClientStand({ simulator: { maxModelLen: WINDOW }, timeouts: { probe_ms: 500 } });
});

afterAll(() => stand?.stop());

describe.each<OpenCodeWire>(["openai-chat", "anthropic-messages"])("OpenCode by %s", (wire) => {
  let work: string;
  let mark: Mark;

  beforeEach(async () => {
    work = stand.folder();
    mark = await stand.mark();
  });

  /** With a title of its own, so that it asks for none. */
  const run = (key = stand.evener.key): Promise<OpenCodeRun> =>
    runOpenCode(
      { url: stand.evener.url, key },
      {
        binary,
        wire,
        model: stand.simulator.model,
        prompt: PROMPT,
        window: WINDOW,
        cwd: work,
        args: ["--title", "Sum"],
        timeoutMs: 120_000,
      },
    );

  function play(session: FaultySession): Promise<OpenCodeRun> {
    stand.simulator.setScript(faultySession(session));
    return run();
  }

  const texts = (run: OpenCodeRun) => run.events.flatMap(({ type, part }) => (type === "text" ? [part] : []));

  function expectDone(run: OpenCodeRun): void {
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.events.filter(({ type }) => type === "error")).toEqual([]);
    expect(texts(run).at(-1)).toMatchObject({ text: expect.stringMatching(/^Done\. The command printed "sum=42"/) });
    expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
  }

  it("waits as long as a 429 says, and goes on", async () => {
    const run = await play({ fault: { kind: "http", status: 429, headers: { "retry-after": "2" } } });
    expectDone(run);
    expect(story(await mark.rows())).toEqual(["ok", "error: rate_limited", "ok", "ok", "ok"]);
  });

  it("tries again after a 500", async () => {
    const run = await play({ fault: { kind: "http", status: 500 } });
    expectDone(run);
    expect(story(await mark.rows())).toEqual(["ok", "engine_died: engine_failed", "ok", "ok", "ok"]);
  });

  it.each<[string, FaultySession, string]>([
    ["text that breaks off", { fault: { kind: "cut", after: IN_TEXT } }, "engine_cut"],
    ["an error of the engine's in its text", { fault: { kind: "error", after: IN_TEXT } }, "engine_failed"],
  ])("sends it all again after %s", async (_what, session, code) => {
    const run = await play(session);
    expectDone(run);
    expect(story(await mark.rows())).toEqual(["ok", `engine_died: ${code}`, "ok (repeats 2)", "ok", "ok"]);
  });

  it("sends it all again after a call that breaks off, and keeps the broken call as a failed one", async () => {
    stand.simulator.setScript(faultySession({ fault: { kind: "cut", after: IN_ARGUMENTS_AFTER_TEXT } }));
    const finished = await run();
    expect(finished).toMatchObject({ code: 0 });
    const broken = finished.events.filter(
      ({ part }) => (part as { state?: { status?: string } })?.state?.status === "error",
    );
    expect(broken).toMatchObject([{ part: { tool: "write", state: { error: "Tool execution aborted" } } }]);
    expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
    expect(story(await mark.rows()).slice(0, 3)).toEqual(["ok", "engine_died: engine_cut", "ok (repeats 2)"]);
  });

  it("compacts when the prompt does not fit, and goes on", async () => {
    const run = await play({ fault: PROMPT_OVERFLOW });
    // It tells of the overflow, and so ends with 1 although the work was done.
    expect(run).toMatchObject({ code: 1 });
    expect(run.events.filter(({ type }) => type === "error")).toMatchObject([
      { error: { name: "ContextOverflowError" } },
    ]);
    expect(texts(run).at(-1)).toMatchObject({ text: expect.stringMatching(/^Done\. /) });
    expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
    const rows = story(await mark.rows());
    expect(rows.slice(0, 2)).toEqual(["ok", "error: prompt_too_long"]);
    expect(rows.length).toBeGreaterThan(3);
    expect(new Set(rows.slice(2))).toEqual(new Set(["ok"]));
  });

  it("waits for an engine that is down, and goes on when it is back", async () => {
    stand.simulator.setScript(faultySession({ fault: { kind: "http", status: 500 }, times: 0 }));
    const { back } = await stand.goDown();
    const finished = await run();
    await back;
    expectDone(finished);
    const rows = story(await mark.rows());
    expect(rows.filter((row) => row !== "error: engine_unreachable")).toEqual(["ok", "ok", "ok", "ok"]);
  });

  it("fails at once with a key that is not known, and says why", async () => {
    const finished = await run("sk-evener-unknown");
    expect(finished).toMatchObject({ code: 1 });
    expect(finished.events).toMatchObject([
      {
        type: "error",
        error: {
          name: "APIError",
          data: {
            statusCode: 401,
            message: "this key is not one of this gateway's, or it was revoked",
            isRetryable: false,
          },
        },
      },
    ]);
    expect(await mark.rows()).toEqual([]);
  });
});
