/**
 * Decides the `--settings` argument of one session: what must outrank the settings files on this machine, so that the session
 * reaches the gateway while those files stay as they are.
 */
import {
  conflictingNames,
  mergeSettings,
  overridingSettings,
  parseSettings,
  type Settings,
  type SettingsConflict,
  type SettingsFile,
} from "./claude-settings.ts";

export type SessionSettings = {
  /** The arguments for the client, the user's own `--settings` taken out if it is merged into `settings`. */
  args: string[];
  /** What to pass as `--settings`, or undefined for nothing. */
  settings: Settings | undefined;
  /** Whether `settings` holds the key, so that it must not stand on the command line. */
  secret: boolean;
  /** Files whose entries are overridden for this session. */
  overridden: SettingsConflict[];
  /** Managed files that would take the session elsewhere; nothing on the command line outranks them. */
  insurmountable: SettingsConflict[];
};

/** `read` gives a file's text, or undefined where there is none. A file that Claude Code itself could not parse is passed over. */
export function sessionSettings(
  userArgs: readonly string[],
  set: Record<string, string>,
  files: readonly SettingsFile[],
  read: (path: string) => string | undefined,
): SessionSettings {
  const parsed = files.flatMap((file) => {
    const settings = parseSettings(read(file.path) ?? "");
    return settings === undefined ? [] : [{ file, settings }];
  });
  const { args, value } = takeSettingsArgument(userArgs);
  const own = value === undefined ? {} : parseSettings(value.trimStart().startsWith("{") ? value : (read(value) ?? ""));
  if (own === undefined) {
    // The client will say what is wrong with it.
    return { args: [...userArgs], settings: undefined, secret: false, overridden: [], insurmountable: [] };
  }

  const conflicts = parsed
    .map(({ file, settings }) => ({ ...file, names: conflictingNames(settings, set) }))
    .filter((conflict) => conflict.names.length > 0);
  const names = new Set([...conflicts.flatMap((conflict) => conflict.names), ...conflictingNames(own, set)]);
  const overriding = overridingSettings([...names], set);
  // WebFetch asks the client's maker whether a host is allowed, unless somebody has decided that already.
  const decided = [own, ...parsed.map((entry) => entry.settings)].some((entry) => "skipWebFetchPreflight" in entry);
  const settings = mergeSettings(own, { ...(decided ? {} : { skipWebFetchPreflight: true }), ...overriding });
  return {
    args,
    settings: Object.keys(settings).length > 0 ? settings : undefined,
    secret: names.size > 0 || "env" in settings,
    overridden: conflicts.filter((conflict) => !conflict.managed),
    insurmountable: conflicts.filter((conflict) => conflict.managed),
  };
}

/** Takes `--settings X` or `--settings=X` out of the arguments. What follows `--` is the prompt and not looked at. */
function takeSettingsArgument(args: readonly string[]): { args: string[]; value: string | undefined } {
  const end = args.indexOf("--");
  const index = args.findIndex((arg, at) => (end === -1 || at < end) && /^--settings(=|$)/.test(arg));
  const arg = args[index];
  if (arg === undefined) return { args: [...args], value: undefined };
  const joined = arg.startsWith("--settings=");
  const value = joined ? arg.slice("--settings=".length) : args[index + 1];
  return { args: args.toSpliced(index, joined ? 1 : 2), value };
}
