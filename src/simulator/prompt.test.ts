import * as fc from "fast-check";
import { expect, test } from "vitest";
import { checkChatBody } from "./chat-body.ts";
import { resolveOptions } from "./options.ts";
import { blockHashes } from "./prefix-cache.ts";
import { answeredHashes, promptHash, readPrompt } from "./prompt.ts";
import { tokenize } from "./tokenizer.ts";

const OPTIONS = resolveOptions({ blockSize: 4 });
const text = fc.string({ unit: fc.oneof(fc.constantFrom("\n", " ", "word", "<|im_start|>", "</think>"), fc.string()) });

const prompt = (content: string, salt = "") =>
  readPrompt(checkChatBody({ messages: [{ role: "user", content }], cache_salt: salt }), "m", OPTIONS);

test("the blocks of an answered prompt are those of its whole text", () => {
  fc.assert(
    fc.property(text, text, (content, written) => {
      const asked = prompt(content, "salt");
      const whole = blockHashes(tokenize(asked.text + written), 4, asked.salt);
      expect(answeredHashes(asked, written, 4)).toEqual(whole);
    }),
  );
});

test("the same prompt has the same number, another or another salt's has not", () => {
  const number = promptHash(prompt("a prompt of some length"), 4);
  expect(promptHash(prompt("a prompt of some length"), 4)).toBe(number);
  expect(promptHash(prompt("a prompt of some lengt"), 4)).not.toBe(number);
  expect(promptHash(prompt("a prompt of some length", "salt"), 4)).not.toBe(number);
});
