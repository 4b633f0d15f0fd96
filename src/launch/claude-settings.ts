/**
 * Knows Claude Code's settings files: where they are, which of their entries would take a session away from the gateway, and
 * how a file is given the environment without losing anything else in it.
 *
 * An `env` block of a settings file wins over the shell, and `--settings FILE` on the command line wins over the user's and
 * the project's files, but not over managed ones (observed on 2.1.197 and 2.1.330).
 */
import { join } from "node:path";
import { CONFLICTS } from "./claude-code-conflicts.ts";
import { type Environment, VARIABLES } from "./claude-code-variables.ts";

export type Settings = { [key: string]: unknown };

/** A file that Claude Code will read; `managed` ones cannot be outranked. */
export type SettingsFile = { path: string; managed: boolean };

/** A settings file that sets things which a session through the gateway cannot have; `names` are variables or keys. */
export type SettingsConflict = SettingsFile & { names: string[] };

/** The files that Claude Code reads when it starts in `cwd`. */
export function settingsFiles(cwd: string, home: string, environment: Environment, platform: string): SettingsFile[] {
  return [
    { path: userSettingsPath(home, environment), managed: false },
    { path: join(cwd, ".claude", "settings.json"), managed: false },
    { path: join(cwd, ".claude", "settings.local.json"), managed: false },
    { path: managedSettingsPath(platform), managed: true },
  ];
}

export function userSettingsPath(home: string, environment: Environment): string {
  return join(environment["CLAUDE_CONFIG_DIR"] || join(home, ".claude"), "settings.json");
}

function managedSettingsPath(platform: string): string {
  if (platform === "darwin") return "/Library/Application Support/ClaudeCode/managed-settings.json";
  if (platform === "win32") return "C:\\Program Files\\ClaudeCode\\managed-settings.json";
  return "/etc/claude-code/managed-settings.json";
}

/** The text of a settings file as an object; undefined when it is not a JSON object. */
export function parseSettings(text: string): Settings | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What in these settings would win over `set`, the variables that Evener sets, and take the session elsewhere. */
export function conflictingNames(settings: Settings, set: Record<string, string>): string[] {
  const env = envOf(settings);
  const ours = VARIABLES.filter((variable) => variable.precedence === "evener").map((variable) => variable.name);
  const names = [
    ...ours.filter((name) => name in set && isSet(env[name]) && env[name] !== set[name]),
    ...CONFLICTS.map((conflict) => conflict.name).filter((name) => isSet(env[name])),
  ];
  if (isSet(settings["apiKeyHelper"])) names.push("apiKeyHelper");
  return names;
}

/** Settings for `--settings` of one session that outrank the conflicts found: ours set, the others blank. */
export function overridingSettings(names: readonly string[], set: Record<string, string>): Settings {
  const env: Record<string, string> = {};
  const overriding: Settings = {};
  for (const name of names) {
    if (name === "apiKeyHelper") overriding[name] = "";
    else env[name] = set[name] ?? "";
  }
  // The key alone would go wherever a file's base URL points, and the other way round: they go together.
  if (names.length > 0) {
    for (const name of ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"])
      if (set[name] !== undefined) env[name] = set[name];
    overriding["env"] = env;
  }
  return overriding;
}

/** The first settings under the second: keys of `over` win, their `env` blocks are merged by name. */
export function mergeSettings(under: Settings, over: Settings): Settings {
  const env = { ...envOf(under), ...envOf(over) };
  return { ...under, ...over, ...(Object.keys(env).length > 0 ? { env } : {}) };
}

/** A settings file's new content: everything kept, `set` added to the `env` block. */
export function withEnvironment(settings: Settings, set: Record<string, string>): Settings {
  return { ...settings, env: { ...envOf(settings), ...set } };
}

/** The `env` block's variables, as the client would set them. */
export function environmentOf(settings: Settings): Environment {
  return Object.fromEntries(
    Object.entries(envOf(settings)).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
  );
}

function envOf(settings: Settings): Settings {
  return isObject(settings["env"]) ? settings["env"] : {};
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function isObject(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
