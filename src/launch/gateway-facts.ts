/** Knows the gateway's answer to `GET /v1/evener/launch`: the models, their windows, and which model each family means. */
import { isObject } from "../base/is-object.ts";

/** One served model. Figures are tokens; `null` where the engine does not say. */
export type ServedModel = { id: string; context_window: number | null; max_output: number | null };

/** Claude Code's model families, and the model that a session starts with. Values are ids of served models. */
export type Families = { opus: string; sonnet: string; haiku: string; default: string };

export type GatewayFacts = { models: ServedModel[]; families: Families };

/** A gateway that cannot be used as it is; the message is one sentence for the person at the terminal. */
export class GatewayUnusable extends Error {
  override readonly name = "GatewayUnusable";
}

const PATIENCE_MS = 10_000;

/**
 * Asks the gateway what a client needs to know before it starts. Throws GatewayUnusable when nothing answers there, the key
 * is not accepted, no model is served, or something other than Evener answers.
 */
export async function fetchGatewayFacts(url: string, key: string): Promise<GatewayFacts> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(new URL("v1/evener/launch", url.endsWith("/") ? url : `${url}/`), {
      headers: { authorization: `Bearer ${key}` },
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    body = await response.text();
  } catch (error) {
    throw new GatewayUnusable(
      `no gateway answers at ${url}${becauseOf(error)}; start one with \`evener up\`, or point EVENER_URL at a running one`,
    );
  }
  if (response.status === 401 || response.status === 403) {
    throw new GatewayUnusable(
      `the gateway at ${url} does not accept the key; make one with \`evener key create --tenant NAME\` and set EVENER_KEY`,
    );
  }
  if (!response.ok && response.status !== 404) {
    throw new GatewayUnusable(`the gateway at ${url} answered ${response.status}; its log says why`);
  }
  const facts = response.ok ? readGatewayFacts(body) : undefined;
  if (facts === undefined) {
    throw new GatewayUnusable(`what answers at ${url} is not an Evener gateway; check the address`);
  }
  if (facts.models.length === 0) {
    throw new GatewayUnusable(`the gateway at ${url} serves no model yet; start an engine, then try again`);
  }
  return facts;
}

/** Reads the body of the answer; undefined when it is not one. */
export function readGatewayFacts(body: string): GatewayFacts | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (!isObject(value) || !Array.isArray(value["models"]) || !isObject(value["families"])) return undefined;
  const { opus, sonnet, haiku, default: main } = value["families"];
  const models = value["models"].filter(isServedModel);
  if (models.length !== value["models"].length) return undefined;
  if (models.length === 0) return { models, families: { opus: "", sonnet: "", haiku: "", default: "" } };
  if (!isName(opus) || !isName(sonnet) || !isName(haiku) || !isName(main)) return undefined;
  return { models, families: { opus, sonnet, haiku, default: main } };
}

function isServedModel(value: unknown): value is ServedModel {
  return (
    isObject(value) &&
    isName(value["id"]) &&
    isTokensOrNull(value["context_window"]) &&
    isTokensOrNull(value["max_output"])
  );
}

function isTokensOrNull(value: unknown): boolean {
  return value === null || (Number.isSafeInteger(value) && (value as number) > 0);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** What fetch hides behind "fetch failed": a refused connection, a certificate that is not trusted. */
function becauseOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  const said = code === "ECONNREFUSED" ? "connection refused" : message;
  return typeof said === "string" && said !== "" ? `: ${said}` : "";
}
