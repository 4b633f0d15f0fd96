import * as fc from "fast-check";
import { expect, test } from "vitest";
import { detokenize, tokenize, tokenTexts } from "./tokenizer.ts";

const text = fc.string({ unit: "grapheme", maxLength: 300 });

test("any text comes back from its tokens", () => {
  fc.assert(
    fc.property(text, (original) => {
      expect(detokenize(tokenize(original))).toBe(original);
    }),
  );
});

test("the texts of the tokens add up, and none holds a part of a code point", () => {
  fc.assert(
    // U+FFFD is what a part of a code point would become.
    fc.property(
      text.filter((value) => !value.includes("\uFFFD")),
      (original) => {
        const texts = tokenTexts(original);
        expect(texts.join("")).toBe(original);
        expect(texts.every((piece) => piece.isWellFormed() && !piece.includes("\uFFFD"))).toBe(true);
      },
    ),
    { examples: [["naïve 👩‍👩‍👧 日本"]] },
  );
});

test("what follows a text changes none of its tokens but the last", () => {
  // A marker that is begun in one text and ended in the next is another matter, as with real tokenizers.
  const plain = text.filter((value) => !value.includes("<"));
  fc.assert(
    fc.property(plain, plain, (before, after) => {
      const alone = tokenize(before);
      expect(tokenize(before + after).slice(0, Math.max(0, alone.length - 1))).toEqual(alone.slice(0, -1));
    }),
  );
});

test("the chat template's markers are single tokens and end what stands before them", () => {
  expect(Array.from(tokenize("<|im_start|><|im_end|>"))).toEqual([1, 2]);
  expect(tokenTexts("say<|im_end|>\n<think>")).toEqual(["say", "<|im_end|>", "\n", "<think>"]);
});

test("English takes about four bytes a token", () => {
  const prose =
    "The quick brown fox jumps over the lazy dog, and then it goes home because there is nothing else to do in 1984. ";
  const ratio = prose.length / tokenize(prose).length;
  expect(ratio).toBeGreaterThan(3);
  expect(ratio).toBeLessThan(5);
});

test.each([[0], [9], [255], [-1], [1.5], [Number.MAX_SAFE_INTEGER]])("no text gives the id %d", (id) => {
  expect(() => detokenize([id])).toThrow(RangeError);
});
