/** Reads the times that people give to `--since`, `--until`, `--expires` and the like. */
import { InvalidArgumentError } from "commander";

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/**
 * A day (`2026-11-01`: its midnight, UTC), an ISO time (UTC unless it says otherwise), or a span back from now (`30m`, `24h`, `7d`,
 * `2w`). Throws commander's InvalidArgumentError.
 */
export function parseTime(text: string, now = Date.now()): Date {
  const span = /^(\d{1,6})([mhdw])$/.exec(text);
  if (span) return new Date(now - Number(span[1]) * UNIT_MS[span[2] as keyof typeof UNIT_MS]);
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  if (date) {
    const [, day = "", time = "00:00", zone = "Z"] = date;
    const parsed = new Date(`${day}T${time}${zone}`);
    // Date takes 30 February for 2 March.
    if (!Number.isNaN(parsed.getTime()) && isDay(day)) return parsed;
  }
  throw new InvalidArgumentError(
    "Give a day (2026-11-01), a time (2026-11-01T09:00Z), or a span back from now (30m, 24h, 7d, 2w).",
  );
}

/** As `parseTime`, without spans: they lead into the past. */
export function parseFutureTime(text: string): Date {
  if (/^\d{4}-/.test(text)) return parseTime(text);
  throw new InvalidArgumentError("Give a day (2026-12-01) or a time (2026-12-01T09:00Z).");
}

/** A time ahead, as `parseFutureTime` has it, or a span from now on. */
export function parseExpiry(text: string, now = Date.now()): Date {
  const span = /^(\d{1,6})([mhdw])$/.exec(text);
  const time = span
    ? new Date(now + Number(span[1]) * UNIT_MS[span[2] as keyof typeof UNIT_MS])
    : /^\d{4}-/.test(text)
      ? parseTime(text)
      : undefined;
  if (time !== undefined && time.getTime() > now) return time;
  throw new InvalidArgumentError("Give a time ahead: a day (2027-01-31), 2027-01-31T09:00Z, or a span (90d, 12h).");
}

function isDay(day: string): boolean {
  const parsed = new Date(`${day}T00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(day);
}
