/** A calendar month in UTC, as in `2026-11`. */
import { GatewayError } from "../../conversation/errors.ts";

export type Month = { name: string; start: Date; /** Start of the next one. */ end: Date };

/** Throws GatewayError `invalid_request`. */
export function parseMonth(text: string): Month {
  const match = /^(2\d{3})-(0[1-9]|1[0-2])$/.exec(text);
  if (match === null)
    throw new GatewayError("invalid_request", `"${text}" is not a month; give one as in 2026-11`, { param: "month" });
  const year = Number(match[1]);
  const month = Number(match[2]);
  return { name: text, start: new Date(Date.UTC(year, month - 1)), end: new Date(Date.UTC(year, month)) };
}
