/** Makes the logger: JSON lines for machines, or aligned lines for a person at a terminal. */
import { jsonLogger } from "./json-log.ts";
import type { Logger, LogLevel } from "./log-record.ts";
import { textLogger } from "./text-log.ts";

export type { Logger } from "./log-record.ts";

export type LoggerOptions = {
  level: LogLevel;
  format: "json" | "text";
  /** Takes finished lines, newline included, instead of standard output. */
  write?: (line: string) => void;
};

export function createLogger({ level, format, write }: LoggerOptions): Logger {
  return format === "json" ? jsonLogger(level, write) : textLogger(level, write);
}
