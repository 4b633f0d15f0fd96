/** The property that all rules of this folder serve: the prompt of a session's next request begins with that of this one. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AssistantPart, ChatRequest, Message, UserPart } from "../../conversation/request.ts";
import { encodePrompt } from "../encode-chat.ts";
import { request, tool } from "./__fixtures__/requests.ts";
import { accepting, forgetting, refusing, type Template } from "./__fixtures__/templates.ts";
import { defaultPromptProfile, type PromptProfile } from "./prompt-profile.ts";

const text = fc.oneof(
  fc.constantFrom("", "ok", "<system-reminder>\nx\n</system-reminder>", " \n"),
  fc.string({ maxLength: 12 }),
);
const textPart = fc.record({ type: fc.constant("text" as const), text });
const image = fc.constant({ type: "image", source: { kind: "base64", mediaType: "image/png", data: "aGk=" } } as const);
const reference = fc.record({
  type: fc.constant("tool-reference" as const),
  name: fc.constantFrom("Read", "Late", "Other", "Gone"),
});
const lateSystem = fc.record({
  role: fc.constant("system" as const),
  content: fc.array(fc.oneof(textPart, image), { maxLength: 2 }),
});

/** What the model answers: reasoning, text and calls with ids that may repeat. */
const answer = fc.record({
  reasoning: fc.option(
    fc.record({ text, signed: fc.constantFrom("ours" as const, "foreign" as const, "none" as const) }),
  ),
  text,
  calls: fc.array(
    fc.record({ id: fc.constantFrom("a", "b", "c"), arguments: fc.constantFrom("", "{}", '{"b":1,"a":2}', "{oops") }),
    { maxLength: 3 },
  ),
});

/** What the client adds before it asks again; results are shuffled, some lost, some doubled. */
const reply = fc.record({
  rest: fc.array(fc.oneof(textPart, image, reference), { maxLength: 3 }),
  lost: fc.boolean(),
  doubled: fc.boolean(),
  resultsLast: fc.boolean(),
  apart: fc.boolean(),
  order: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
  results: fc.array(
    fc.record({ content: fc.array(fc.oneof(textPart, image, reference), { maxLength: 2 }), isError: fc.boolean() }),
    { minLength: 3, maxLength: 3 },
  ),
  systems: fc.array(lateSystem, { maxLength: 2 }),
});

type Step = {
  answer: typeof answer extends fc.Arbitrary<infer T> ? T : never;
  reply: typeof reply extends fc.Arbitrary<infer T> ? T : never;
};

function answerMessage(step: Step["answer"]): Message {
  const content: AssistantPart[] = [];
  if (step.reasoning) content.push({ type: "reasoning", ...step.reasoning });
  if (step.text !== "") content.push({ type: "text", text: step.text });
  for (const call of step.calls) content.push({ type: "tool-call", name: "Read", ...call });
  return { role: "assistant", content };
}

function replyMessages(step: Step): Message[] {
  const results: UserPart[] = step.reply.order.flatMap((index) => {
    const call = step.answer.calls[index];
    return call ? [{ type: "tool-result", callId: call.id, ...step.reply.results[index]! }] : [];
  });
  if (step.reply.lost) results.pop();
  if (step.reply.doubled && results[0]) results.push(results[0]);
  // A turn without calls needs the user's words: clients send nothing otherwise.
  const rest: UserPart[] =
    results.length === 0 ? [...step.reply.rest, { type: "text", text: "next" }] : step.reply.rest;
  const parts = step.reply.resultsLast ? [...rest, ...results] : [...results, ...rest];
  const users: Message[] = step.reply.apart
    ? parts.map((part) => ({ role: "user", content: [part] }))
    : [{ role: "user", content: parts }];
  return [...users, ...step.reply.systems];
}

/** The requests of one session, each with the whole history; the answer of each turn comes from the one before. */
const session = fc
  .record({
    first: fc.array(textPart, { minLength: 1, maxLength: 3 }),
    systems: fc.array(lateSystem, { maxLength: 2 }),
    steps: fc.array(fc.record({ answer, reply }), { minLength: 1, maxLength: 8 }),
  })
  .map(({ first, systems, steps }) => {
    const base = {
      system: [{ type: "text" as const, text: "You are an agent." }],
      tools: [tool("Read"), tool("Late", { deferred: true }), tool("Other", { deferred: true })],
    };
    let messages: Message[] = [{ role: "user", content: [...first, { type: "text", text: "go" }] }, ...systems];
    const requests: ChatRequest[] = [request(messages, base)];
    for (const step of steps) {
      messages = messages.concat(answerMessage(step.answer), replyMessages(step));
      requests.push(request(messages, base));
    }
    return requests;
  });

/** Whether each prompt begins with the one before it. */
function grows(requests: ChatRequest[], template: Template, profile: Partial<PromptProfile>): boolean {
  const target = { model: "m", streamOptions: true, profile: { ...defaultPromptProfile, ...profile } };
  const rendered = requests.map((one) => template(encodePrompt(one, target)));
  return rendered.every((text, index) => text.startsWith(rendered[index - 1] ?? ""));
}

/** A user message right after an answer's first cut is appended to the one before it: only its end marker differs. */
const endsInAnAnswer = (requests: ChatRequest[]) =>
  requests.every((one) =>
    one.messages.every((message, index) => message.role !== "assistant" || index === 0 || spoken(message)),
  );
const spoken = (message: Message) =>
  message.role === "assistant" &&
  message.content.some((part) => part.type === "tool-call" || (part.type === "text" && part.text !== ""));

describe("the prompt of a session only grows", () => {
  it.each(["none", "content", "reasoning", "reasoning_content"] as const)(
    "reasoning replayed as %s",
    (reasoningReplay) => {
      fc.assert(
        fc.property(session, fc.boolean(), (requests, vision) => {
          expect(grows(requests, accepting, { reasoningReplay, vision, consecutiveUsers: "keep" })).toBe(true);
          expect(
            grows(requests, accepting, { reasoningReplay, vision, consecutiveUsers: "keep", lateSystem: "keep" }),
          ).toBe(true);
        }),
        { numRuns: 150 },
      );
    },
  );

  it("on templates that refuse late system messages and two messages of one role, which never see any", () => {
    fc.assert(
      fc.property(session.filter(endsInAnAnswer), (requests) => {
        // Images in tool results need a user message after a tool's, which such templates would refuse.
        expect(grows(requests, refusing, { reasoningReplay: "none" })).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("on templates that forget reasoning, when none is replayed or it is text", () => {
    fc.assert(
      fc.property(session, (requests) => {
        expect(grows(requests, forgetting, { reasoningReplay: "none", consecutiveUsers: "keep" })).toBe(true);
        expect(grows(requests, forgetting, { reasoningReplay: "content", consecutiveUsers: "keep" })).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it("and every call is followed by its results, in its order", () => {
    fc.assert(
      fc.property(session, (requests) => {
        const prompt = encodePrompt(requests.at(-1)!, {
          model: "m",
          streamOptions: true,
          profile: defaultPromptProfile,
        });
        const messages = prompt.messages.map((message) => JSON.parse(message.json));
        for (const [index, message] of messages.entries()) {
          const ids = (message.tool_calls ?? []).map((call: { id: string }) => call.id);
          const after = messages.slice(index + 1, index + 1 + ids.length);
          expect(after.map((one: { role: string; tool_call_id: string }) => [one.role, one.tool_call_id])).toEqual(
            ids.map((id: string) => ["tool", id]),
          );
        }
        const calls = messages.reduce((sum, message) => sum + (message.tool_calls?.length ?? 0), 0);
        expect(messages.filter((message) => message.role === "tool")).toHaveLength(calls);
      }),
      { numRuns: 150 },
    );
  });
});
