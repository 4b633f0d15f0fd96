/** What a failed connection to an engine means in the error table. The raw error is kept as the cause, for the log only. */
import { type ErrorCode, GatewayError } from "../conversation/errors.ts";
import { ResponseFault } from "./http1/response-fault.ts";

/** How far the exchange had come when it failed. */
export type Progress = "connecting" | "sent" | "answering";

const NO_CONNECTION: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused the connection",
  ENOTFOUND: "has a host name that does not resolve",
  EAI_AGAIN: "has a host name that does not resolve just now",
  EHOSTUNREACH: "is on a host that cannot be reached",
  ENETUNREACH: "is on a network that cannot be reached",
  ETIMEDOUT: "did not take the connection in time",
  ECONNABORTED: "closed the connection",
};

const CLOSED = new Set(["ECONNRESET", "EPIPE"]);

/** The error's code as Node gives it, of the error itself or of the first one it aggregates. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string" && error.code !== "") return error.code;
  if (error instanceof AggregateError) return errorCode(error.errors[0]);
  return "";
}

/** Whether the engine closed the connection, as against any other failure. */
export function isClosedByEngine(error: unknown): boolean {
  return error instanceof ResponseFault ? error.fault === "closed" : CLOSED.has(errorCode(error));
}

/** The place in the error table of a connection that failed. Anything that no engine causes becomes `internal`. */
export function transportError(error: unknown, progress: Progress): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = errorCode(error);
  const say = (which: ErrorCode, message: string) => new GatewayError(which, message, { cause: error });

  if (error instanceof ResponseFault && error.fault === "malformed")
    return say("engine_failed", "the engine answered something that is not HTTP");
  if (error instanceof ResponseFault && error.fault === "head-too-large")
    return say("engine_failed", "the engine's response headers are too large");
  const closed = isClosedByEngine(error);
  if (progress === "answering" && (closed || code in NO_CONNECTION))
    return say("engine_cut", "the engine closed the connection before its answer was complete");
  if (closed) return say("engine_unreachable", "the engine closed the connection without an answer");
  const noConnection = NO_CONNECTION[code];
  if (noConnection !== undefined) return say("engine_unreachable", `the engine ${noConnection}`);
  if (isTlsFailure(code))
    return say("engine_unreachable", `the engine's TLS certificate or handshake was not accepted (${code})`);
  return say("internal", "the gateway failed while it talked to the engine; its log has the details");
}

function isTlsFailure(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO)/.test(code);
}
