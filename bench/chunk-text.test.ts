import * as fc from "fast-check";
import { expect, it } from "vitest";
import { chunkScanner, chunkText, nowMicroseconds } from "./chunk-text.ts";

it("finds every chunk once and in order, however the text is split", () => {
  const text = Array.from({ length: 5 }, (_, index) => `data: {"content":"${chunkText(index)}"}\n\n`).join("");
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
      const found: number[] = [];
      const scan = chunkScanner((index, writtenAt) => {
        expect(nowMicroseconds() - writtenAt).toBeGreaterThanOrEqual(0);
        found.push(index);
      });
      const edges = [0, ...cuts.sort((a, b) => a - b), text.length];
      for (const [index, edge] of edges.slice(1).entries()) scan(text.slice(edges[index], edge));
      expect(found).toEqual([0, 1, 2, 3, 4]);
    }),
  );
});
