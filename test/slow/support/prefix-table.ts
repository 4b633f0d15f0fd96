/** What a session's requests found in the engine's prefix cache, as numbers and as a table for people. */
import type { RunningEvener } from "../../support/evener.ts";
import type { Reading } from "./played-engine.ts";

/** Tokens of a block of vLLM's cache on a CPU. Only whole blocks are found again. */
const BLOCK = 128;

export type Step = Reading & {
  requestId: string;
  /** Of the prompt of the request before it (same session, agent and model), the share that came from the cache. */
  reused: number | undefined;
  /** The largest share that whole blocks allow. */
  possible: number | undefined;
  /** The gateway's own word on where the prompt left the one before. */
  prefixBreak: string | null;
};

export type Thread = { agent: string | null; steps: readonly Step[] };

type Shown = {
  threads: {
    agent: string | null;
    requests: {
      request_id: string;
      input_uncached: number;
      cache_read: number;
      cache_write: number;
      outcome: string;
      prefix_break: string | null;
    }[];
  }[];
};

/** The main loop's requests and each subagent's, as `evener sessions show` tells them. Throws where one has failed. */
export async function sessionThreads(evener: RunningEvener, session: string): Promise<Thread[]> {
  const { code, stdout, stderr } = await evener.cli(["sessions", "show", session, "--json"]);
  if (code !== 0) throw new Error(`evener sessions show failed: ${stderr}`);
  const { threads } = JSON.parse(stdout) as Shown;
  return threads.map(({ agent, requests }) => {
    const steps: Step[] = [];
    for (const row of requests) {
      if (row.outcome !== "ok") throw new Error(`request ${row.request_id} ended with ${row.outcome}`);
      const before = steps.at(-1)?.prompt;
      steps.push({
        requestId: row.request_id,
        prompt: row.input_uncached + row.cache_read + row.cache_write,
        cached: row.cache_read,
        reused: before && row.cache_read / before,
        possible: before && (Math.floor(before / BLOCK) * BLOCK) / before,
        prefixBreak: row.prefix_break,
      });
    }
    return { agent, steps };
  });
}

/** The table in Markdown. `userTurns`: the requests of the main loop with which a turn of the user begins. */
export function renderThreads(title: string, threads: readonly Thread[], userTurns: readonly number[]): string {
  const lines = threads.flatMap(({ agent, steps }) =>
    steps.map(({ prompt, cached, reused }, index) => {
      const turn = agent === null ? `${userTurns.filter((begin) => begin <= index).length}` : "subagent";
      return row(String(index + 1), turn, String(prompt), String(cached), percent(reused));
    }),
  );
  const head = [row("request", "turn", "prompt", "cached", "share"), row("------:", "--------", "---", "---", "---")];
  return `${title}\n\n${[...head, ...lines].join("\n")}\n`;
}

export function percent(share: number | undefined): string {
  return share === undefined ? "–" : `${(share * 100).toFixed(1)} %`;
}

function row(...cells: readonly string[]): string {
  const [first = "", second = "", ...numbers] = cells;
  const padded = numbers.map((cell) => (cell === "---" ? "------:" : cell.padStart(7)));
  return `| ${[first.padStart(7), second.padEnd(8), ...padded].join(" | ")} |`;
}
