/** Looks at one model of a live engine, group by group: what is found first, others build on. */
import type { EngineInfo } from "../engine/engine-info.ts";
import type { AskEngine } from "./ask-engine.ts";
import { cacheCapacity, prefixCaching } from "./cache-checks.ts";
import { engineFound, modelsServed, windowFits } from "./engine-checks.ts";
import { type CheckId, type Finding, findingsOf } from "./finding.ts";
import { parserFits, parserThere, strictTools, textKeptUnderNone } from "./parser-checks.ts";
import { reasonOf } from "./reason-of.ts";
import { reasoningApart } from "./reasoning-check.ts";
import type { Subject } from "./subject.ts";
import { lateSystemMessages, toolsInPrompt, writtenCall } from "./template-checks.ts";
import { CHOICES, type Cell, askForCalls, matrixFindings } from "./tool-matrix.ts";
import { runningUsage } from "./usage-check.ts";

export type Diagnosis = { findings: Finding[]; cells: Cell[] };

/** Told of what is known as soon as it is. */
export type Listener = {
  onFindings(findings: readonly Finding[]): void;
  /** The matrix follows, by its rows. */
  onMatrix(): void;
  /** The cells of one way to ask. */
  onCells(cells: readonly Cell[]): void;
};

/** Rejects only for mistakes of our own: an engine that gives no answer is a finding. */
export async function examine(
  ask: AskEngine,
  info: EngineInfo,
  subject: Subject,
  listener: Listener,
): Promise<Diagnosis> {
  const all: Finding[] = [];
  const tell = (findings: readonly Finding[]): void => {
    all.push(...findings);
    listener.onFindings(findings);
  };
  tell([...engineFound(info), ...modelsServed(info, subject), ...windowFits(subject)]);

  tell(await guarded("tools_in_prompt", () => toolsInPrompt(ask, subject)));
  tell(await guarded("late_system", () => lateSystemMessages(ask, subject)));
  tell(await guarded("reasoning_parser", () => reasoningApart(ask, subject)));

  let parser = { missing: false, advice: "" };
  tell(
    await guarded("tool_parser", async () => {
      const written = await writtenCall(ask, subject);
      const { findings, ...look } = await parserThere(ask, subject, written);
      parser = look;
      if (look.missing) return findings;
      const fits = await parserFits(ask, subject, written, look.advice);
      const strict = await strictTools(ask, subject);
      return [...findings, ...fits, ...strict, ...(await textKeptUnderNone(ask, subject, written))];
    }),
  );

  const cells: Cell[] = [];
  listener.onMatrix();
  for (const choice of CHOICES) {
    const asked = await askForCalls(ask, subject, choice);
    listener.onCells(asked);
    cells.push(...asked);
  }
  tell(matrixFindings(cells, parser));

  tell(await guarded("prefix_caching", () => prefixCaching(ask, subject)));
  tell(await guarded("kv_capacity", () => cacheCapacity(ask, subject)));
  tell(await guarded("running_usage", () => runningUsage(ask, subject)));
  return { findings: all, cells };
}

/** Where no answer comes, an agent gets none either. */
async function guarded(id: CheckId, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [findingsOf(id).bad(`no answer: ${reasonOf(error)}`)];
  }
}
