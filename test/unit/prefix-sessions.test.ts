/**
 * The recorded sessions of Claude Code, from the wire to the engine: every prompt begins with the one before it, on three
 * kinds of chat template, but where the client itself replaced the conversation by a summary.
 */
import { describe, expect, it } from "vitest";
import { type EncodedPrompt, encodePrompt } from "../../src/engine/encode-chat.ts";
import { accepting, forgetting, refusing, type Template } from "../../src/engine/prompt/__fixtures__/templates.ts";
import { defaultPromptProfile, type PromptProfile } from "../../src/engine/prompt/prompt-profile.ts";
import { createPrefixGuard } from "../../src/routing/prefix-guard/prefix-guard.ts";
import { createAnthropicMessages } from "../../src/wire/anthropic-messages/codec.ts";
import { recordedSessions } from "../support/recorded-sessions.ts";

// Recorded reasoning carries the recorder's signature; it stands for this gateway's.
const codec = createAnthropicMessages({ verifySignature: () => true });

/**
 * Where the client compacted, counted from 0: the request for the summary, which adds words to the last message of the one
 * before it (so that only that message's end mark differs), and the first request of the shortened conversation.
 */
const COMPACTED: Record<string, { summary: number; after: number }> = {
  "compact-2.1.197": { summary: 6, after: 7 },
  "tsc-2.1.197": { summary: 3, after: 4 },
};

const sessions = [...recordedSessions()].map(([name, requests]) => ({
  name,
  requests: requests.map(({ body, headers }) => codec.decode(body, headers)),
  summary: COMPACTED[name] ? [COMPACTED[name].summary] : [],
  after: COMPACTED[name] ? [COMPACTED[name].after] : [],
}));

function prompts(session: (typeof sessions)[number], profile: Partial<PromptProfile> = {}): EncodedPrompt[] {
  const target = { model: "m", streamOptions: true, profile: { ...defaultPromptProfile, ...profile } };
  return session.requests.map((request) => encodePrompt(request, target));
}

/** The requests whose prompt does not begin with the one before it, `less` so much of its end. */
function breaks(all: EncodedPrompt[], template: Template, less = ""): number[] {
  const rendered = all.map(template);
  return rendered.flatMap((text, index) => {
    const before = rendered[index - 1] ?? "";
    return text.startsWith(before.slice(0, before.length - less.length)) ? [] : [index];
  });
}

const END_MARK = "<|im_end|>\n";
const userMessages = (prompt: EncodedPrompt) => prompt.messages.filter(({ role }) => role === "user").length;

it("has whole sessions to look at", () => {
  expect(sessions.map(({ requests }) => requests.length)).toEqual([10, 6, 42, 9, 12, 14, 7]);
  // Late system messages, results out of order, failed calls, late tools, images and reasoning all occur.
  const text = JSON.stringify(sessions);
  for (const part of [
    '"role":"system"',
    '"isError":true',
    '"tool-reference"',
    '"image"',
    '"signed":"ours"',
    '"deferred":true',
  ]) {
    expect(text).toContain(part);
  }
});

describe.each(sessions)("$name", (session) => {
  it.each<[string, Template, Partial<PromptProfile>]>([
    ["a template that takes system messages anywhere", accepting, {}],
    ["the same, with them left in place", accepting, { lateSystem: "keep" }],
    ["a template that refuses them", refusing, {}],
    ["a model that sees images", accepting, { vision: true }],
    ["reasoning in the text", forgetting, { reasoningReplay: "content" }],
    ["reasoning not replayed", forgetting, { reasoningReplay: "none" }],
  ])("only grows: %s", (_, template, profile) => {
    const all = prompts(session, profile);
    expect(breaks(all, template)).toEqual([...session.summary, ...session.after]);
    expect(breaks(all, template, END_MARK)).toEqual(session.after);
  });

  it("grows but where a user's turn begins, on a template that forgets reasoning", () => {
    const all = prompts(session);
    for (const index of breaks(all, forgetting, END_MARK)) {
      const newTurn = userMessages(all[index]!) > userMessages(all[index - 1]!);
      expect(newTurn || session.after.includes(index)).toBe(true);
    }
  });

  it("is seen so by the prefix guard", () => {
    const guard = createPrefixGuard();
    const key = { tenant: "t", session: session.name, agent: undefined, model: "m" };
    const verdicts = prompts(session).map((prompt) => guard.observe(key, prompt));
    expect(verdicts.flatMap((verdict, index) => (verdict.kind === "diverged" ? [[index, verdict.cause]] : []))).toEqual(
      session.after.map((index) => [index, "history-replaced"]),
    );
  });
});

describe("the prefix guard, were the rules not kept", () => {
  const long = sessions.find(({ name }) => name === "long-2.1.197");
  const guardOn = (all: EncodedPrompt[]) => {
    const guard = createPrefixGuard();
    const key = { tenant: "t", session: "s", agent: undefined, model: "m" };
    return all.map((prompt) => guard.observe(key, prompt)).filter(({ kind }) => kind === "diverged");
  };

  it("names system messages hoisted to the head", () => {
    const hoisted = prompts(long!, { lateSystem: "keep" }).map((prompt) => {
      const system = prompt.messages.filter(({ role }) => role === "system").map(({ json }) => json);
      const rest = prompt.messages.filter(({ role }) => role !== "system");
      return Object.assign({}, prompt, { messages: [{ role: "system" as const, json: system.join() }, ...rest] });
    });
    const found = guardOn(hoisted);
    expect(found.length).toBeGreaterThan(3);
    for (const one of found)
      expect(one).toMatchObject({ kind: "diverged", at: { section: "system" }, cause: "system-changed" });
  });

  it("names tools in another order", () => {
    const shuffled = prompts(long!).map((prompt, index) =>
      index % 2 ? Object.assign({}, prompt, { tools: prompt.tools.toReversed() }) : prompt,
    );
    expect(guardOn(shuffled)).toHaveLength(shuffled.length - 1);
    expect(guardOn(shuffled)[0]).toMatchObject({ at: { section: "tools", index: 0 }, cause: "tools-reordered" });
  });
});
