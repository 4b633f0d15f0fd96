/** Loads the configuration: flags over environment over file over defaults, each mistake named with where it stands. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Document, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { type Environment, fromEnvironment, variableOf } from "./environment.ts";
import { type Config, type ConfigInput, configSchema } from "./schema.ts";

/** A mistake in the configuration; its message is one line for the person who wrote it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export type LoadedConfig = {
  config: Config;
  /** The file that was read, if any. */
  file: string | undefined;
  /** The data directory, absolute. */
  dataDir: string;
};

export type LoadOptions = {
  flags: Partial<ConfigInput>;
  configFile?: string | undefined;
  env: Environment;
  cwd: string;
};

/** Reads and checks everything. Throws ConfigError, and nothing else, for whatever a person could have written wrongly. */
export function loadConfig({ flags, configFile, env, cwd }: LoadOptions): LoadedConfig {
  const named = configFile ?? (env["EVENER_CONFIG"] || undefined);
  const path = resolve(cwd, named ?? "evener.yaml");
  const present = existsSync(path);
  if (!present && named !== undefined) throw new ConfigError(`there is no configuration file ${path}`);
  const fromFile = present ? readConfigFile(path) : {};
  const merged = mergeSections(mergeSections(fromFile, readEnvironment(env)), flags);
  const parsed = configSchema.safeParse(merged);
  if (!parsed.success) throw new ConfigError(`configuration: ${describeIssue(parsed.error.issues[0])}`);
  const dataDir = resolve(cwd, expandHome(parsed.data.data ?? "~/.evener"));
  return { config: parsed.data, file: present ? path : undefined, dataDir };
}

function readConfigFile(path: string): Section {
  const lines = new LineCounter();
  const document = parseDocument(readText(path), { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new ConfigError(`${path}:${line}:${col}: ${problem.message}`);
  }
  const value = contentOf(document, path);
  if (value === null) return {};
  if (!isSection(value)) throw new ConfigError(`${path}: must be a mapping, such as "port: 4400"`);
  const checked = configSchema.safeParse(value);
  if (!checked.success) throw new ConfigError(`${path}: ${describeIssue(checked.error.issues[0])}`);
  return value;
}

function readEnvironment(env: Environment): Section {
  const value = fromEnvironment(env);
  const issue = configSchema.safeParse(value).error?.issues[0];
  if (issue === undefined) return value;
  const variable = variableOf(issue.path);
  throw new ConfigError(variable === undefined ? describeIssue(issue) : `${variable}: ${wordsOf(issue)}`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const problem = code === "EISDIR" ? "it is a directory; name a file" : message;
    throw new ConfigError(`cannot read the configuration ${path}: ${problem}`);
  }
}

/** An alias without its anchor is found only here. */
function contentOf(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`);
  }
}

type Section = Record<string, unknown>;

/** What is written in `over` wins; of a section (`log`) only the fields that are written there. Lists are taken as a whole. */
function mergeSections(under: Section, over: Section): Section {
  const merged = { ...under };
  for (const [name, value] of Object.entries(over)) {
    const below = under[name];
    merged[name] = isSection(value) && isSection(below) ? { ...below, ...value } : value;
  }
  return merged;
}

function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describeIssue(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return "invalid";
  const where = issue.path.map(String).join(".");
  return where === "" ? wordsOf(issue) : `${where}: ${wordsOf(issue)}`;
}

/** The schema's own words where it has some; zod's others are for programmers. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (!/^(Invalid (input|option)|Too (small|big)|Unrecognized key)/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_value":
      return `must be one of ${issue.values.join(", ")}`;
    case "unrecognized_keys":
      return `there is no setting named ${issue.keys.map((key) => `"${key}"`).join(" or ")}`;
    case "invalid_type":
      return `must be ${KINDS[issue.expected] ?? issue.expected}`;
    case "too_small":
      return `must be at least ${issue.minimum}`;
    case "too_big":
      return `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: "text; put it in quotes",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a mapping of settings",
  record: "a mapping of names",
  array: "a list",
};

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}
