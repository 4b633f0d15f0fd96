/** Writes the log as JSON lines with snake_case names, the same as in usage rows and the admin API. */
import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import { type LogFields, type Logger, type LogLevel, type RequestLog, requestLevel } from "./log-record.ts";

export function jsonLogger(level: LogLevel, write?: (line: string) => void): Logger {
  // Not synchronous: a slow reader of our output must not stop the event loop. pino flushes it at exit.
  const out: DestinationStream = write === undefined ? destination({ fd: 1, sync: false }) : { write };
  const log = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    out,
  );
  return {
    request: (entry) => log[requestLevel(entry)](requestFields(entry), "request"),
    debug: (fields, message) => log.debug(snakeCased(fields), message),
    info: (fields, message) => log.info(snakeCased(fields), message),
    warn: (fields, message) => log.warn(snakeCased(fields), message),
    error: (fields, message) => log.error(snakeCased(fields), message),
  };
}

/** Written out, so that a field added to the record somewhere is not logged by accident. */
function requestFields(entry: RequestLog): object {
  return {
    request_id: entry.requestId,
    wire: entry.wire,
    tenant: entry.tenant,
    key: entry.key,
    model: entry.model,
    requested_model: entry.requestedModel,
    engine: entry.engine,
    session: entry.session,
    agent: entry.agent,
    streamed: entry.streamed,
    outcome: entry.outcome,
    finish_reason: entry.finishReason,
    error_code: entry.errorCode,
    input_uncached: entry.inputUncached,
    cache_read: entry.cacheRead,
    cache_write: entry.cacheWrite,
    output: entry.output,
    reasoning: entry.reasoning,
    counted_by: entry.countedBy,
    first_token_ms: entry.firstTokenMs,
    duration_ms: entry.durationMs,
    repeat_of: entry.repeatOf,
    prefix_break: entry.prefixBreak,
  };
}

function snakeCased(fields: LogFields): object {
  const cased: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    cased[name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return cased;
}
