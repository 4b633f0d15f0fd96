/** Which environment variables set which part of the configuration. Secrets that are no configuration (EVENER_SECRET) are read where they are used. */
import type { ConfigInput } from "./schema.ts";

export type Environment = { readonly [name: string]: string | undefined };

export const ENVIRONMENT_VARIABLES = {
  EVENER_CONFIG: "Path of the configuration file; evener.yaml in the working directory by default.",
  EVENER_ENGINES: "Engine URLs, separated by commas.",
  EVENER_HOST: "Address to listen on.",
  EVENER_PORT: "Port to listen on.",
  EVENER_DATA: "Data directory.",
  DATABASE_URL: "Postgres URL.",
  EVENER_LOG_LEVEL: "debug, info, warn or error.",
  EVENER_LOG_FORMAT: "auto, json or text.",
} as const;

/** Which variable a part of the configuration is from: `log.level`, `port`. Undefined for what has none. */
export function variableOf(path: readonly PropertyKey[]): keyof typeof ENVIRONMENT_VARIABLES | undefined {
  const name = path[0] === "log" ? path.slice(0, 2).join(".") : String(path[0]);
  return Object.hasOwn(VARIABLE_OF, name) ? VARIABLE_OF[name] : undefined;
}

const VARIABLE_OF: Readonly<Record<string, keyof typeof ENVIRONMENT_VARIABLES>> = {
  engines: "EVENER_ENGINES",
  host: "EVENER_HOST",
  port: "EVENER_PORT",
  data: "EVENER_DATA",
  database_url: "DATABASE_URL",
  "log.level": "EVENER_LOG_LEVEL",
  "log.format": "EVENER_LOG_FORMAT",
};

/** The part of the configuration that the environment sets; values are checked later, with everything else. */
export function fromEnvironment(env: Environment): Partial<ConfigInput> {
  const out: Partial<ConfigInput> = {};
  const engines = env["EVENER_ENGINES"]
    ?.split(",")
    .map((url) => url.trim())
    .filter((url) => url !== "");
  if (engines !== undefined && engines.length > 0) out.engines = engines.map((url) => ({ url }));
  if (env["EVENER_HOST"]) out.host = env["EVENER_HOST"];
  if (env["EVENER_PORT"]) out.port = Number(env["EVENER_PORT"]);
  if (env["EVENER_DATA"]) out.data = env["EVENER_DATA"];
  if (env["DATABASE_URL"]) out.database_url = env["DATABASE_URL"];
  const log: Record<string, string> = {};
  if (env["EVENER_LOG_LEVEL"]) log["level"] = env["EVENER_LOG_LEVEL"];
  if (env["EVENER_LOG_FORMAT"]) log["format"] = env["EVENER_LOG_FORMAT"];
  if (Object.keys(log).length > 0) out.log = log as NonNullable<ConfigInput["log"]>;
  return out;
}
