/** Writes the log for a person at a terminal: a line a request, its figures in columns, and what is wrong in words. */
import { type LogFields, type Logger, type LogLevel, type RequestLog, requestLevel } from "./log-record.ts";

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export function textLogger(level: LogLevel, write: (line: string) => void = toStdout): Logger {
  const least = LEVELS.indexOf(level);
  const line = (at: LogLevel, text: string): void => {
    if (LEVELS.indexOf(at) >= least) write(`${clock()} ${text}\n`);
  };
  const event =
    (at: LogLevel) =>
    (fields: LogFields, message: string): void =>
      line(at, [at === "info" ? message : `${at}: ${message}`, ...pairs(fields)].join("  "));
  return {
    request: (entry) => line(requestLevel(entry), requestLine(entry)),
    debug: event("debug"),
    info: event("info"),
    warn: event("warn"),
    error: event("error"),
  };
}

function toStdout(line: string): void {
  process.stdout.write(line);
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}

/** `ok            0.31 s first,  4.20 s    12.4k in  98% cached    321 out  claude-sonnet → qwen3  acme  req_01` */
function requestLine(entry: RequestLog): string {
  const prompt = entry.inputUncached + entry.cacheRead + entry.cacheWrite;
  const cached = prompt === 0 ? 0 : Math.floor((100 * entry.cacheRead) / prompt);
  const first = entry.firstTokenMs === null ? "" : `${seconds(entry.firstTokenMs)} first, `;
  const model = entry.requestedModel === entry.model ? entry.model : `${entry.requestedModel} → ${entry.model}`;
  const columns = [
    (entry.errorCode ?? entry.outcome).padEnd(12),
    first.padStart(16) + seconds(entry.durationMs).padStart(9),
    `${count(prompt).padStart(7)} in ${String(cached).padStart(3)}% cached ${count(entry.output).padStart(6)} out`,
    printable(model),
    printable(entry.tenant),
    entry.requestId,
  ];
  if (entry.repeatOf !== null) columns.push(`repeats ${entry.repeatOf}`);
  if (entry.prefixBreak !== null) columns.push(`prefix broke at ${entry.prefixBreak}`);
  return columns.join("  ");
}

function pairs(fields: LogFields): string[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${printable(Array.isArray(value) ? value.join(",") : String(value))}`);
}

/** Names come from clients and engines: what would move a terminal's cursor, or break the line, is shown as `?`. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

function count(tokens: number): string {
  if (tokens < 10_000) return String(tokens);
  return tokens < 1_000_000 ? `${(tokens / 1_000).toFixed(1)}k` : `${(tokens / 1_000_000).toFixed(2)}M`;
}
