import fc from "fast-check";
import { expect, it } from "vitest";
import { isoTime } from "./iso-time.ts";

it("writes what toISOString writes, whatever came before", () => {
  const time = fc.oneof(
    fc.date({ noInvalidDate: true }),
    fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4_000) }),
  );
  fc.assert(
    fc.property(fc.array(time), (times) => {
      expect(times.map((each) => isoTime(each.getTime()))).toEqual(times.map((each) => each.toISOString()));
    }),
  );
});
