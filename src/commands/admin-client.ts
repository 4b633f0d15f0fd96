/** Knows how a command finds the running gateway and talks to its admin API, and what to tell people when it cannot. */
import { z } from "zod";
import { GatewayFileError, defaultDataDir, gatewayFilePath, readGatewayFile } from "../config/gateway-file.ts";
import { CliError } from "./cli-error.ts";
import { request } from "./http-request.ts";
import { interruptible } from "./signals.ts";

export type AdminClient = {
  /** The gateway's address. */
  readonly url: string;
  /** Rejects with CliError: unreachable, refused, or what the gateway says is wrong. Empty query values are left out. */
  get<T extends z.ZodType>(path: string, answer: T, query?: Record<string, string | undefined>): Promise<z.output<T>>;
  /** `once`: what is sent again with the same text is done once (`idempotency-key`), where the path knows of it. */
  post<T extends z.ZodType>(path: string, answer: T, body: unknown, once?: string): Promise<z.output<T>>;
  /** As `get`, for what is no JSON: CSV, a page. */
  text(path: string, query?: Record<string, string | undefined>): Promise<string>;
};

type Place = { url: string; adminKey: string; /** Where that was found, for people. */ from: string };

/**
 * The gateway named by `EVENER_URL` and `EVENER_ADMIN_KEY`, else the one that left gateway.json in the data directory. A URL alone
 * will do when it is that gateway's. Throws CliError.
 */
export function findGateway(env: NodeJS.ProcessEnv = process.env): Place {
  const named = env["EVENER_URL"] || undefined;
  const adminKey = env["EVENER_ADMIN_KEY"] || undefined;
  const url = named === undefined ? undefined : baseUrl(named);
  if (url !== undefined && adminKey !== undefined) return { url, adminKey, from: "EVENER_URL" };
  const dataDir = defaultDataDir(env);
  let file;
  try {
    file = readGatewayFile(dataDir);
  } catch (error) {
    if (error instanceof GatewayFileError) throw new CliError(error.message, 1, error);
    throw error;
  }
  const path = gatewayFilePath(dataDir);
  if (url !== undefined) {
    if (file !== undefined && baseUrl(file.url) === url) return { url, adminKey: file.admin_key, from: path };
    throw new CliError("EVENER_URL is set, but EVENER_ADMIN_KEY is not; set it to that gateway's admin key", 2);
  }
  if (file === undefined)
    throw new CliError(
      `no gateway is running (there is no ${path}); start one with \`evener up\`, or set EVENER_URL and EVENER_ADMIN_KEY`,
    );
  return { url: baseUrl(file.url), adminKey: adminKey ?? file.admin_key, from: path };
}

type Sent = { method: "GET" } | { method: "POST"; body: string; once: string | undefined };

/** The request was sent and no answer came: whether the gateway has done it is not known. */
export class NoAnswer extends CliError {}

const TIMEOUT_MS = 30_000;
const HEALTH_MS = 10_000;

/**
 * `patient` waits for an answer as long as it takes, as what reads the whole ledger does, once the gateway has shown that it is
 * there.
 */
export function adminClient({
  env = process.env,
  patient = false,
}: { env?: NodeJS.ProcessEnv; patient?: boolean } = {}): AdminClient {
  const { url, adminKey, from } = findGateway(env);

  const send = async (path: string, sent: Sent): Promise<string> => {
    const headers = {
      authorization: `Bearer ${adminKey}`,
      "content-type": "application/json",
      ...("once" in sent && sent.once !== undefined && { "idempotency-key": sent.once }),
    };
    let answered;
    try {
      const target = `${url}/admin/v1${path}`;
      answered = patient
        ? await interruptible(async (signal) => {
            await request(`${url}/health`, { method: "GET", timeoutMs: HEALTH_MS, signal });
            return request(target, { ...sent, headers, signal });
          })
        : await request(target, { ...sent, headers, timeoutMs: TIMEOUT_MS });
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw new (wasSent(error) ? NoAnswer : CliError)(
        `no gateway answers at ${url} (from ${from}): ${reason(error)}; start one with \`evener up\``,
        1,
        error,
      );
    }
    const { status, text } = answered;
    if (status < 200 || status > 299) throw refusal(status, parse(text), { url, from });
    return text;
  };
  const call = async <T extends z.ZodType>(path: string, answer: T, init: Sent): Promise<z.output<T>> => {
    const parsed = answer.safeParse(parse(await send(path, init)));
    if (!parsed.success)
      throw new CliError(
        `what answers at ${url} (from ${from}) is not an evener of this version; check EVENER_URL`,
        1,
        parsed.error,
      );
    return parsed.data;
  };

  return {
    url,
    get: (path, answer, query = {}) => call(withQuery(path, query), answer, { method: "GET" }),
    post: (path, answer, body, once) => call(path, answer, { method: "POST", body: JSON.stringify(body), once }),
    text: (path, query = {}) => send(withQuery(path, query), { method: "GET" }),
  };
}

/** Nothing was where there is no connection. */
function wasSent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || !["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH"].includes(code);
}

function withQuery(path: string, query: Record<string, string | undefined>): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = new URLSearchParams(set).toString();
  return search === "" ? path : `${path}?${search}`;
}

function baseUrl(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new CliError(`EVENER_URL is not a URL: ${text}; give one as in http://127.0.0.1:4400`, 2);
  return text.replace(/\/+$/, "");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reason(error: unknown): string {
  if ((error as { code?: unknown }).code === "ECONNREFUSED") return "connection refused";
  return error instanceof Error ? error.message : String(error);
}

const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string(), request_id: z.string() }) });
/** What the person who typed the command got wrong, not the gateway. */
const USAGE_CODES = new Set(["invalid_request", "invalid_json"]);

function refusal(status: number, value: unknown, { url, from }: { url: string; from: string }): CliError {
  if (status === 401)
    return new CliError(
      `the gateway at ${url} refuses this admin key (from ${from}); set EVENER_ADMIN_KEY to the right one`,
    );
  const parsed = Refusal.safeParse(value);
  if (!parsed.success)
    return new CliError(`what answers at ${url} (from ${from}) is not an evener: it answered ${status}`);
  const { code, message, request_id } = parsed.data.error;
  const trace = status >= 500 ? ` (request ${request_id})` : "";
  return new CliError(`${message}${trace}`, USAGE_CODES.has(code) ? 2 : 1);
}
