import fc from "fast-check";
import { expect, it } from "vitest";
import { formatScaled } from "./scaled.ts";

it("writes exactly what it was given, no longer than it must", () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.integer({ min: 1, max: 12 }), (amount, decimals) => {
      const text = formatScaled(amount, decimals);
      const [whole = "", fraction = ""] = text.replace("-", "").split(".");
      expect(BigInt(whole + fraction.padEnd(decimals, "0"))).toBe(amount < 0n ? -amount : amount);
      expect(text.startsWith("-")).toBe(amount < 0n);
      expect(text).not.toMatch(/\.\d*0$|\.$/);
    }),
  );
});
