import { expect, test, vi } from "vitest";
import { Repeats } from "./repeats.ts";

const prompt = (text: string) => ({ messages: [{ json: JSON.stringify({ role: "user", content: text }) }] });

test("recognises the same prompt of the same owner, once", () => {
  const repeats = new Repeats();
  repeats.remember("a", prompt("prompt"), "req_1");
  expect(repeats.take("b", prompt("prompt"))).toBeUndefined();
  expect(repeats.take("a", prompt("prompt"))).toBe("req_1");
  expect(repeats.take("a", prompt("prompt"))).toBeUndefined();
});

test("another prompt is no repeat", () => {
  const repeats = new Repeats();
  repeats.remember("a", prompt("prompt"), "req_1");
  expect(repeats.take("a", prompt("prompt and more"))).toBeUndefined();
});

test("what is sent again much later is a person's asking again", () => {
  vi.useFakeTimers();
  try {
    const repeats = new Repeats();
    repeats.remember("a", prompt("prompt"), "req_1");
    vi.advanceTimersByTime(11 * 60_000);
    expect(repeats.take("a", prompt("prompt"))).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

test("remembers a bounded number", () => {
  const repeats = new Repeats();
  for (let n = 0; n < 5_000; n++) repeats.remember(`owner-${n}`, prompt("prompt"), `req_${n}`);
  expect(repeats.take("owner-0", prompt("prompt"))).toBeUndefined();
  expect(repeats.take("owner-4999", prompt("prompt"))).toBe("req_4999");
});

test("a side call in between does not make it forget", () => {
  const repeats = new Repeats();
  repeats.remember("a", prompt("prompt"), "req_1");
  expect(repeats.take("a", prompt("give this session a title"))).toBeUndefined();
  expect(repeats.take("a", { messages: [] })).toBeUndefined();
  expect(repeats.take("a", prompt("prompt"))).toBe("req_1");
});
