/** What a failed connection to an engine means in the error table. The raw error is kept as the cause, for the log only. */
import { errors } from "undici";
import { type ErrorCode, GatewayError } from "../conversation/errors.ts";

/** How far the exchange had come when it failed. */
export type Progress = "connecting" | "sent" | "answering";

const NO_CONNECTION: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused the connection",
  ENOTFOUND: "has a host name that does not resolve",
  EAI_AGAIN: "has a host name that does not resolve just now",
  EHOSTUNREACH: "is on a host that cannot be reached",
  ENETUNREACH: "is on a network that cannot be reached",
  ETIMEDOUT: "did not take the connection in time",
  UND_ERR_CONNECT_TIMEOUT: "did not take the connection in time",
  ECONNABORTED: "closed the connection",
};

const CLOSED = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET", "UND_ERR_CLOSED", "UND_ERR_DESTROYED"]);
const CUT = new Set(["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "UND_ERR_ABORTED", ...CLOSED]);

/** The error's code as Node and undici give it, of the error itself or of the first one it aggregates. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string" && error.code !== "") return error.code;
  if (error instanceof AggregateError) return errorCode(error.errors[0]);
  return "";
}

/** Whether the engine closed the connection, as against any other failure. */
export function isClosedByEngine(error: unknown): boolean {
  return CLOSED.has(errorCode(error));
}

/** The place in the error table of a connection that failed. Anything that no engine causes becomes `internal`. */
export function transportError(error: Error, progress: Progress): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = errorCode(error);
  const say = (which: ErrorCode, message: string) => new GatewayError(which, message, { cause: error });

  if (error instanceof errors.HTTPParserError)
    return say("engine_failed", "the engine answered something that is not HTTP");
  if (progress === "answering" && (CUT.has(code) || code in NO_CONNECTION))
    return say("engine_cut", "the engine closed the connection before its answer was complete");
  if (CLOSED.has(code)) return say("engine_unreachable", "the engine closed the connection without an answer");
  const noConnection = NO_CONNECTION[code];
  if (noConnection !== undefined) return say("engine_unreachable", `the engine ${noConnection}`);
  if (isTlsFailure(code))
    return say("engine_unreachable", `the engine's TLS certificate or handshake was not accepted (${code})`);
  if (code === "UND_ERR_HEADERS_OVERFLOW") return say("engine_failed", "the engine's response headers are too large");
  return say("internal", "the gateway failed while it talked to the engine; its log has the details");
}

function isTlsFailure(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO)/.test(code);
}
