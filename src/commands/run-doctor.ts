/** What `evener doctor` does: finds the engine, has it examined, and says what is found as it comes. */
import { createAsker } from "../doctor/ask-engine.ts";
import { type Diagnosis, examine } from "../doctor/examine.ts";
import { CHECKS, type Finding, type Result, worstOf } from "../doctor/finding.ts";
import type { Subject } from "../doctor/subject.ts";
import { CHOICES } from "../doctor/tool-matrix.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { EngineAddress } from "../engine/engine-address.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { probeEngine } from "../engine/probe.ts";
import { type Upstream, createUpstream } from "../engine/upstream.ts";
import { CliError } from "./cli-error.ts";
import { type DoctorFlags, chosenEngine } from "./doctor-options.ts";
import { matrixHead, matrixRows, reportHead, reportRows } from "./doctor-report.ts";
import { print, printJson } from "./print.ts";
import { printable } from "./table.ts";

/** Columns where no terminal says how many it has. */
const ROOM = 160;

/** The exit code: 1 where something is bad. Rejects with CliError where there is nothing to look at. */
export async function runDoctor(flags: DoctorFlags, env: NodeJS.ProcessEnv): Promise<0 | 1> {
  const upstream = createUpstream();
  try {
    const engine = await chosenEngine(flags, env, upstream);
    const info = await reach(upstream, engine);
    const subject = subjectOf(info, flags.model);
    let requests = 0;
    const ask = createAsker(upstream, engine, () => requests++);
    const room = process.stdout.isTTY ? process.stdout.columns : ROOM;
    const say = (text: string): void => (flags.json ? undefined : print(text));
    say(
      `${printable(subject.model)} at ${engine.url}: asks the engine about 40 short questions, each for 512 tokens at most.\n\n`,
    );
    say(reportHead(room));
    const diagnosis = await examine(ask, info, subject, {
      onFindings: (findings) => say(reportRows(findings, room)),
      onMatrix: () => say(matrixHead()),
      onCells: (cells) => {
        say(matrixRows(cells));
        if (cells[0]?.choice === CHOICES.at(-1)) say("\n");
      },
    });
    const result = worstOf(diagnosis.findings.map((finding) => finding.result));
    if (flags.json) printJson(document({ engine, info, subject, diagnosis, result, requests }));
    say(`\n${summary(diagnosis.findings)}. ${requests} questions were asked.`);
    return result === "bad" ? 1 : 0;
  } finally {
    await upstream.close();
  }
}

async function reach(upstream: Upstream, engine: EngineAddress): Promise<EngineInfo> {
  try {
    return await probeEngine(upstream, engine);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new CliError(`no engine to look at: ${engine.url}: ${error.message}`, 1, error);
  }
}

function subjectOf(info: EngineInfo, wanted: string | undefined): Subject {
  const served = info.models.map(({ id }) => id).join(", ");
  const model = wanted === undefined ? info.models[0] : info.models.find(({ id }) => id === wanted);
  if (model === undefined && wanted !== undefined)
    throw new CliError(`the engine does not serve "${wanted}"; it serves: ${printable(served) || "no model"}`, 2);
  if (model === undefined) throw new CliError("the engine serves no model; load one first");
  const { id, root, contextWindow } = model;
  return { model: id, kind: info.kind, names: root === undefined ? [id] : [id, root], window: contextWindow };
}

function summary(findings: readonly Finding[]): string {
  const count = (result: Result): number => findings.filter((finding) => finding.result === result).length;
  const [bad, warnings, unknown] = [count("bad"), count("warning"), count("unknown")];
  return [
    bad === 0 ? "Nothing is bad" : `${bad} bad`,
    ...(warnings === 0 ? [] : [`${warnings} ${warnings === 1 ? "warning" : "warnings"}`]),
    ...(unknown === 0 ? [] : [`${unknown} could not be told`]),
  ].join(", ");
}

type Examined = {
  engine: EngineAddress;
  info: EngineInfo;
  subject: Subject;
  diagnosis: Diagnosis;
  result: Result;
  requests: number;
};

/** Field names are stable. */
function document({ engine, info, subject, diagnosis, result, requests }: Examined): unknown {
  return {
    engine: { url: engine.url, kind: info.kind, version: info.version ?? null },
    model: subject.model,
    result,
    requests,
    checks: diagnosis.findings.map(({ id, result, found, advice }) => ({
      id,
      check: CHECKS[id],
      result,
      found,
      what_to_do: advice ?? null,
    })),
    tool_calls: diagnosis.cells.map(({ choice, thinking, streamed, outcome, result, found }) => ({
      tool_choice: choice,
      thinking,
      streamed,
      result,
      outcome,
      found,
    })),
  };
}
