import { expect, it } from "vitest";
import { isReadableTime } from "./readable-time.ts";

it("takes the years 1 to 9999, in UTC", () => {
  const readable = ["0001-01-01T00:00:00Z", "2026-11-28T12:00:00+02:00", "9999-12-31T23:59:59.999Z"];
  const not = [
    "0000-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-23:59",
    "+010000-01-01T00:00:00Z",
    "x",
  ];
  expect(readable.filter((text) => !isReadableTime(new Date(text)))).toEqual([]);
  expect(not.filter((text) => isReadableTime(new Date(text)))).toEqual([]);
});
