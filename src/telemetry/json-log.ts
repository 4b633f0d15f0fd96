/**
 * Writes the log as JSON lines with snake_case names, the same as in usage rows and the admin API.
 *
 * A line a request is the most that a busy gateway writes: those are gathered and written some dozens at a time, a fifth of a
 * second late at the most. Warnings and errors leave at once, with what waits before them.
 */
import { isoTime } from "../base/iso-time.ts";
import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import { type LogFields, type Logger, type LogLevel, type RequestLog, requestLevel } from "./log-record.ts";

const FLUSH_MS = 200;
const GATHERED_BYTES = 32 * 1024;
/** When nobody takes our output, it is dropped beyond this rather than filling the memory. */
const MOST_WAITING_BYTES = 32 * 1024 * 1024;

export function jsonLogger(level: LogLevel, write?: (line: string) => void): Logger {
  const { out, flush } = write === undefined ? standardOutput() : { out: { write }, flush() {} };
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
    request(entry) {
      const at = requestLevel(entry);
      // The same line as pino's, which looks at every character of every field for a third of the log's cost.
      if (log.isLevelEnabled(at)) out.write(`${JSON.stringify(requestLine(at, entry))}\n`);
    },
    debug: (fields, message) => log.debug(snakeCased(fields), message),
    info: (fields, message) => log.info(snakeCased(fields), message),
    warn(fields, message) {
      log.warn(snakeCased(fields), message);
      flush();
    },
    error(fields, message) {
      log.error(snakeCased(fields), message);
      flush();
    },
  };
}

function standardOutput(): { out: DestinationStream; flush: () => void } {
  const out = destination({
    fd: 1,
    // As text it would measure all that waits, again for every line.
    contentMode: "buffer",
    // A slow reader of our output must not stop the event loop. pino flushes it at exit.
    sync: false,
    minLength: GATHERED_BYTES,
    maxWrite: 2 * GATHERED_BYTES,
    maxLength: MOST_WAITING_BYTES,
    periodicFlush: FLUSH_MS,
  });
  outlive(out);
  return { out: { write: (line) => out.write(Buffer.from(line) as unknown as string) }, flush: () => out.flush() };
}

/**
 * A full disk costs lines of the log, not the answers that are under way. What waits is written when there is room again; at exit it is given
 * up where there was none the last time, because pino would try for ever.
 */
function outlive(out: ReturnType<typeof destination>): void {
  const flushSync = out.flushSync.bind(out);
  let refused = false;
  out.on("error", () => (refused = true));
  out.on("write", () => (refused = false));
  out.flushSync = () => {
    if (!refused) flushSync();
  };
}

/** Written out, so that a field added to the record somewhere is not logged by accident. */
function requestLine(level: LogLevel, entry: RequestLog): object {
  return {
    level,
    time: isoTime(Date.now()),
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
    msg: "request",
  };
}

function snakeCased(fields: LogFields): object {
  const cased: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    cased[name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return cased;
}
