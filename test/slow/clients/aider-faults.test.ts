/** What the real aider does when the engine behind the gateway fails while it edits. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Fault } from "../../../src/simulator/script.ts";
import { git, gitRepository, runAider } from "../../support/client-aider.ts";
import { installAider } from "../../support/client-install.ts";
import { IN_TEXT, PROMPT_OVERFLOW, story } from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";
import type { Finished } from "../../support/run-process.ts";

const EDITED = 'print("hello, wörld")\n';

let stand: ClientStand;
let python: string;
let work: string;
let mark: Mark;

beforeAll(async () => {
  python = await installAider();
  stand = await startClientStand({ simulator: { maxModelLen: 150_000 }, timeouts: { probe_ms: 500 } });
});

afterAll(() => stand?.stop());

beforeEach(async () => {
  work = stand.folder();
  gitRepository(work, { "greet.py": 'print("hello")\n' });
  mark = await stand.mark();
});

/** The first answer with an edit fails; the message of the commit never does. */
function playEdit(fault?: Fault): void {
  let left = fault === undefined ? 0 : 1;
  stand.simulator.setScript(({ messages }) => {
    if (JSON.stringify(messages[0]).includes("commit message")) return { text: "feat: greet the whole world" };
    const edit = { text: `I greet the world.\n\ngreet.py\n\`\`\`\n${EDITED}\`\`\`\n` };
    return left-- > 0 && fault !== undefined ? { ...edit, fault } : edit;
  });
}

const run = (key = stand.evener.key): Promise<Finished> =>
  runAider(
    { url: stand.evener.url, key },
    {
      python,
      model: stand.simulator.model,
      message: "Greet the world",
      files: ["greet.py"],
      cwd: work,
      window: 150_000,
      timeoutMs: 120_000,
    },
  );

/** It breaks its lines at 80 characters. */
const said = ({ stdout }: Finished): string => stdout.replaceAll(/\s+/g, " ");

function expectDone(finished: Finished): void {
  expect(finished).toMatchObject({ code: 0 });
  expect(readFileSync(join(work, "greet.py"), "utf8")).toBe(EDITED);
  expect(git(work, "log", "--format=%s")).toBe("feat: greet the whole world\nBegin");
}

function expectUntouched(): void {
  expect(git(work, "log", "--format=%s")).toBe("Begin");
  expect(git(work, "status", "--porcelain", "--untracked-files=no")).toBe("");
}

it("waits as long as a 429 says, and goes on", async () => {
  playEdit({ kind: "http", status: 429, headers: { "retry-after": "2" } });
  expectDone(await run());
  expect(story(await mark.rows())).toEqual(["error: rate_limited", "ok", "whole ok"]);
});

it("tries again after a 500", async () => {
  playEdit({ kind: "http", status: 500 });
  expectDone(await run());
  expect(story(await mark.rows())).toEqual(["engine_died: engine_failed", "ok", "whole ok"]);
});

it.each<[string, Fault, string, string]>([
  [
    "an answer that breaks off",
    { kind: "cut", after: IN_TEXT },
    "engine_cut",
    "the engine closed the connection before its answer was complete",
  ],
  [
    "an error of the engine's in its answer",
    { kind: "error", after: IN_TEXT },
    "engine_failed",
    "the engine failed (500): EngineCore encountered an issue",
  ],
])("shows %s, sends it all again, and applies only the whole answer", async (_what, fault, code, words) => {
  playEdit(fault);
  const finished = await run();
  expectDone(finished);
  expect(said(finished)).toContain(words);
  expect(said(finished)).toContain("Retrying in 0.2 seconds");
  expect(story(await mark.rows())).toEqual([`engine_died: ${code}`, "ok (repeats 1)", "whole ok"]);
});

it("explains a prompt that does not fit, and does not send it again", async () => {
  playEdit(PROMPT_OVERFLOW);
  const finished = await run();
  expect(said(finished)).toContain("has hit a token limit!");
  expectUntouched();
  expect(story(await mark.rows())).toEqual(["error: prompt_too_long"]);
});

it("waits for an engine that is down, and goes on when it is back", async () => {
  playEdit();
  const { back } = await stand.goDown();
  const finished = await run();
  await back;
  expectDone(finished);
  const rows = story(await mark.rows());
  expect(rows.filter((row) => row !== "error: engine_unreachable")).toEqual(["ok", "whole ok"]);
});

it("fails at once with a key that is not known, and says why", async () => {
  playEdit();
  const finished = await run("sk-evener-unknown");
  expect(said(finished)).toContain("this key is not one of this gateway's, or it was revoked");
  expectUntouched();
  expect(await mark.rows()).toEqual([]);
});
