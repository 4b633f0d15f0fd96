/**
 * A session of the real Claude Code in which most happens that moves a prompt: reasoning before every answer, parallel calls,
 * calls that fail, a subagent, a tool loaded late, a session continued twice, words that come as stream-json.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject, ScriptedCall, ScriptRequest, Turn } from "../../../src/simulator/script.ts";
import { PRINT_EVENTS, runClaude } from "../../support/claude.ts";
import { gitRepository } from "../../support/client-aider.ts";
import type { RunningEvener } from "../../support/evener.ts";
import type { PlayedEngine } from "./played-engine.ts";

export type PlayedSession = {
  id: string;
  /** Numbers of the main loop's requests, from 0, that begin a turn of the user. */
  userTurns: readonly number[];
  /** Assistant messages in the last prompt of the main loop, and those of them that brought their reasoning. */
  replayed: { answers: number; withReasoning: number };
};

const TASK = "Look how many words the notes have";
const PROMPTS = ["Write a word counter and try it", "Now count something longer", "Say it shorter", "And thank you"];
const LAST_WORDS = ["It counts.", "It counts long texts too.", "Counted.", "You are welcome."];

const thought = (about: string): string =>
  `I think about ${about}. ` +
  "What has been done so far is in the messages above; what is left is one small step, and this is it. ".repeat(3);

/** The main loop's answers, by their number in the conversation. Those without calls end a turn of the user. */
function answers(work: string): readonly Turn[] {
  const bash = (command: string): ScriptedCall => ({ name: "Bash", arguments: { command, description: "Step" } });
  const file = join(work, "build", "count.py");
  const write = { file_path: file, content: 'import sys\nprint(len(sys.stdin.read().split()), "Wörter")\n' };
  const edit = { file_path: file, old_string: "Wörter", new_string: "words" };
  const agent = {
    description: "Count words",
    prompt: TASK,
    subagent_type: "general-purpose",
    run_in_background: false,
  };
  const notebook = { notebook_path: join(work, "none.ipynb"), new_source: "1", cell_id: "a" };
  const end = (number: number): Turn => ({ text: LAST_WORDS[number]! });
  const turns: Turn[] = [
    { text: "I make room first.", calls: [bash("mkdir -p build && seq 1 300")] },
    { calls: [{ name: "Write", arguments: write }] },
    {
      text: "Three things at once.\n",
      calls: [{ name: "Read", arguments: { file_path: file } }, bash("ls build"), bash("echo 漢字 >&2; exit 3")],
    },
    { calls: [{ name: "Edit", arguments: edit }] },
    { calls: [{ name: "Agent", arguments: agent }] },
    {
      text: "It is not there, I suppose.",
      calls: [{ name: "Read", arguments: { file_path: join(work, "none.txt") } }],
    },
    { calls: [{ name: "ToolSearch", arguments: { query: "select:NotebookEdit", max_results: 1 } }] },
    { calls: [{ name: "NotebookEdit", arguments: notebook }] },
    end(0),
    { calls: [bash("seq 1 500 | python3 build/count.py"), bash("seq 1 2000 | tail -n 400")] },
    { calls: [bash("echo 1.50 1e3 12345678901234567890")] },
    end(1),
    end(2),
    end(3),
  ];
  return turns.map((turn, number) => ({ ...turn, reasoning: thought(`step ${number}`) }));
}

/** The subagent's answers: a call, then its report. */
function subagentAnswer({ turn }: ScriptRequest): Turn {
  const count = { command: "wc -w notes.md", description: "Count" };
  if (turn === 1) return { reasoning: thought("the notes"), calls: [{ name: "Bash", arguments: count }] };
  return { reasoning: thought("the report"), text: "They have five words." };
}

/** A repository with something uncommitted, so that Claude Code has a status of git to write into its prompt. */
export function makeRepository(folder: string, name: string): string {
  const work = join(folder, name);
  mkdirSync(work, { recursive: true });
  gitRepository(work, { "notes.md": `# Notes of ${name}\n\nThree words here\n`, ".gitignore": "build/\n" });
  writeFileSync(join(work, `${name}.txt`), "Not committed.\n");
  return work;
}

type Place = { evener: RunningEvener; engine: PlayedEngine; binary: string; work: string; home: string };

/** Plays the whole session in `work`. Rejects when it does not go as the script says. */
export async function playSession({ evener, engine, binary, work, home }: Place): Promise<PlayedSession> {
  const plan = answers(work);
  let messages: readonly JsonObject[] = [];
  engine.play((request) => {
    if (request.messages.some(({ role, content }) => role === "user" && JSON.stringify(content).includes(TASK)))
      return subagentAnswer(request);
    messages = request.messages;
    return plan[request.turn - 1];
  });
  const asked = PROMPTS.slice(2).map((content) => JSON.stringify({ type: "user", message: { role: "user", content } }));
  const runs = [
    { args: ["-p", PROMPTS[0]!] },
    { args: ["--continue", "-p", PROMPTS[1]!] },
    { args: ["--continue", "-p", "--input-format", "stream-json"], input: `${asked.join("\n")}\n` },
  ];
  const said: unknown[] = [];
  let id: unknown;
  for (const { args, input } of runs) {
    const run = await runClaude(evener, {
      binary,
      args: [...args, ...PRINT_EVENTS],
      cwd: work,
      env: { HOME: home },
      timeoutMs: 120_000,
      ...(input !== undefined && { input }),
    });
    if (run.code !== 0) throw new Error(`Claude Code ended with ${run.code}: ${run.stdout.slice(-2_000)}${run.stderr}`);
    id = run.events.find(({ subtype }) => subtype === "init")?.["session_id"];
    said.push(...run.events.filter(({ type }) => type === "result").map(({ result }) => result));
  }
  if (JSON.stringify(said) !== JSON.stringify(LAST_WORDS)) throw new Error(`it said ${JSON.stringify(said)}`);
  const own = messages.filter(({ role }) => role === "assistant");
  return {
    id: String(id),
    userTurns: plan.flatMap((_, index) => (index === 0 || plan[index - 1]!.calls === undefined ? [index] : [])),
    replayed: { answers: own.length, withReasoning: own.filter(({ reasoning }) => reasoning !== undefined).length },
  };
}

/** The first request of a session in `work`, and nothing else. Gives the session's id. */
export async function playFirstRequest({ evener, engine, binary, work, home }: Place): Promise<string> {
  engine.play(() => ({ text: "Hello." }));
  const run = await runClaude(evener, {
    binary,
    args: ["-p", "Hello", ...PRINT_EVENTS],
    cwd: work,
    env: { HOME: home },
    timeoutMs: 120_000,
  });
  if (run.code !== 0) throw new Error(`Claude Code ended with ${run.code}: ${run.stdout.slice(-2_000)}${run.stderr}`);
  return String(run.events.find(({ subtype }) => subtype === "init")?.["session_id"]);
}
