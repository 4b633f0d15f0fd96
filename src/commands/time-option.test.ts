import { describe, expect, it } from "vitest";
import { parseExpiry, parseTime } from "./time-option.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");

describe("parseTime", () => {
  it.each([
    ["2026-11-01", "2026-11-01T00:00:00.000Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
    ["2026-11-01T09:30", "2026-11-01T09:30:00.000Z"],
    ["2026-11-01 09:30:15", "2026-11-01T09:30:15.000Z"],
    ["2026-11-01T09:30:15.250Z", "2026-11-01T09:30:15.250Z"],
    ["2026-11-01T09:30:15+02:00", "2026-11-01T07:30:15.000Z"],
    ["30m", "2026-11-22T11:30:00.000Z"],
    ["24h", "2026-11-21T12:00:00.000Z"],
    ["7d", "2026-11-15T12:00:00.000Z"],
    ["2w", "2026-11-08T12:00:00.000Z"],
  ])("reads %s", (text, iso) => {
    expect(parseTime(text, NOW).toISOString()).toBe(iso);
  });

  it.each([
    "",
    "yesterday",
    "2026",
    "2026-13-01",
    "2026-02-30",
    "2026-11-01T25:00",
    "7",
    "7y",
    "-7d",
    "1e3d",
    "2026-11-01x",
  ])("refuses %j", (text) => {
    expect(() => parseTime(text, NOW)).toThrow(/Give a day/);
  });
});

describe("parseExpiry", () => {
  it.each([
    ["2027-01-31", "2027-01-31T00:00:00.000Z"],
    ["2026-11-22T12:01+00:00", "2026-11-22T12:01:00.000Z"],
    ["90d", "2027-02-20T12:00:00.000Z"],
    ["12h", "2026-11-23T00:00:00.000Z"],
    ["1m", "2026-11-22T12:01:00.000Z"],
  ])("reads %s", (text, iso) => {
    expect(parseExpiry(text, NOW).toISOString()).toBe(iso);
  });

  it.each(["", "0d", "2026-11-22", "2026-11-22T12:00Z", "2020-01-01", "tomorrow", "-7d", "90"])(
    "refuses %j",
    (text) => {
      expect(() => parseExpiry(text, NOW)).toThrow(/Give a (time ahead|day)/);
    },
  );
});
