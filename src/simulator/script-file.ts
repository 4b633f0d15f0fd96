/** Scripts from files: YAML or JSON, checked against the language of script.ts. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { FINISH_REASONS, type Rule, type Script } from "./script.ts";
import { agentSession } from "./scripts/agent-session.ts";

/** Scripts that come with Evener, by name. */
const BUILT_IN: Record<string, () => Script> = { "agent-session": () => agentSession() };

export const BUILT_IN_SCRIPTS = Object.keys(BUILT_IN);

const place = z.union([z.literal("start"), z.literal("head"), z.int().min(0)]);
const milliseconds = z.number().min(0).max(86_400_000);
const jsonObject = z.record(z.string(), z.unknown());

const fault = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("http"),
    status: z.int().min(400).max(599),
    headers: z.record(z.string(), z.string()).exactOptional(),
    body: z.union([z.string(), jsonObject]).exactOptional(),
  }),
  z.strictObject({ kind: z.literal("cut"), after: place, how: z.enum(["reset", "close", "clean"]).exactOptional() }),
  z.strictObject({
    kind: z.literal("error"),
    after: place,
    error: jsonObject.exactOptional(),
    done: z.boolean().exactOptional(),
  }),
  z.strictObject({ kind: z.literal("hang"), after: place }),
  z.strictObject({ kind: z.literal("silence"), after: place, ms: milliseconds }),
  z.strictObject({ kind: z.literal("garbage"), after: place, lines: z.array(z.string()).exactOptional() }),
  z.strictObject({ kind: z.literal("huge-line"), after: place, bytes: z.int().min(1).max(1_000_000_000) }),
  z.strictObject({ kind: z.literal("broken-utf8"), after: place }),
  z.strictObject({ kind: z.literal("die"), after: place, process: z.boolean().exactOptional() }),
]);

const text = z.union([z.string(), z.array(z.string())]);

const turn = z.strictObject({
  text: text.exactOptional(),
  reasoning: text.exactOptional(),
  calls: z
    .array(
      z.strictObject({
        name: z.string(),
        arguments: z.union([text, jsonObject]),
        id: z.string().exactOptional(),
      }),
    )
    .exactOptional(),
  raw: z.string().exactOptional(),
  argumentPieces: z.int().min(1).exactOptional(),
  finish: z.enum(FINISH_REASONS).exactOptional(),
  stopReason: z.union([z.string(), z.number()]).exactOptional(),
  usage: z.enum(["missing", "final-only", "running-only", "doubled"]).exactOptional(),
  escapes: z.boolean().exactOptional(),
  oldReasoningField: z.boolean().exactOptional(),
  ttft: milliseconds.exactOptional(),
  delay: milliseconds.exactOptional(),
  promptTokens: z.int().min(0).exactOptional(),
  fault: z.union([fault, z.array(fault)]).exactOptional(),
});

const pattern = z.string().refine(isPattern, "is not a regular expression");
const count = z.int().min(0);

const when = z.strictObject({
  turn: count.exactOptional(),
  attempt: count.exactOptional(),
  toolResults: count.exactOptional(),
  toolResultsSinceUser: count.exactOptional(),
  lastRole: z.enum(["system", "user", "assistant", "tool"]).exactOptional(),
  userText: pattern.exactOptional(),
  model: pattern.exactOptional(),
  tools: z.union([z.boolean(), z.string()]).exactOptional(),
  responseFormat: z.union([z.boolean(), z.enum(["json_object", "json_schema"])]).exactOptional(),
  stream: z.boolean().exactOptional(),
});

const script = z.strictObject({
  rules: z.array(
    z.strictObject({
      when: when.exactOptional(),
      times: z.int().min(1).exactOptional(),
      answer: z.union([turn, z.array(turn).min(1)]),
    }),
  ),
});

/** What is wrong with a script file, in one line that names the file. */
export class ScriptFileError extends Error {}

/** A built-in script by its name, or the file at a path. Throws ScriptFileError. */
export function loadScript(nameOrPath: string): Script {
  const builtIn = Object.hasOwn(BUILT_IN, nameOrPath) ? BUILT_IN[nameOrPath] : undefined;
  if (builtIn) return builtIn();
  return parseScript(readScript(nameOrPath), nameOrPath);
}

/** `name` stands in the error's message. */
export function parseScript(written: string, name: string): readonly Rule[] {
  let parsed: unknown;
  try {
    parsed = parse(written);
  } catch (error) {
    // A YAMLParseError, or what an alias without its anchor is.
    throw new ScriptFileError(`${name} is neither YAML nor JSON: ${(error as Error).message.split("\n", 1)[0]}`);
  }
  const checked = script.safeParse(parsed);
  if (checked.success) return checked.data.rules;
  const issue = checked.error.issues[0];
  throw new ScriptFileError(
    `${name}: ${issue?.path.map(String).join(".") || "the file"}: ${issue?.message ?? "is not a script"}`,
  );
}

function readScript(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const problem = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : (error as Error).message;
    throw new ScriptFileError(`cannot read the script ${path}: ${problem}`);
  }
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}
