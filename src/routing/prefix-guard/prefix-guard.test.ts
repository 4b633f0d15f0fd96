import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GuardedPrompt } from "./fingerprint.ts";
import { createPrefixGuard, type GuardKey } from "./prefix-guard.ts";

const key: GuardKey = { tenant: "t", session: "s", agent: undefined, model: "m" };

/** Messages as `role:text`; the first letter is the role. */
function prompt(messages: string[], tools: string[] = ["Read", "Bash"], effort?: string): GuardedPrompt {
  const roles: Record<string, string> = { s: "system", u: "user", a: "assistant", t: "tool" };
  return {
    tools: tools.map((name) => JSON.stringify({ function: { name } })),
    messages: messages.map((message) => {
      const role = roles[message[0]!]!;
      return { role, json: JSON.stringify({ role, content: message.slice(2) }) };
    }),
    ...(effort !== undefined && { effort }),
  };
}

const HEAD = ["s:You are", "u:one"];
const SESSION = [...HEAD, "a:call", "t:result", "a:done", "u:two"];

/** What the guard says of the last of these prompts. */
function verdictOf(...prompts: GuardedPrompt[]) {
  const guard = createPrefixGuard();
  return prompts.map((one) => guard.observe(key, one)).at(-1);
}

describe("what begins with the prompt before it", () => {
  it("is the first, then extends", () => {
    expect(verdictOf(prompt(HEAD))).toMatchObject({ kind: "first" });
    expect(verdictOf(prompt(HEAD), prompt(SESSION))).toMatchObject({ kind: "extends" });
  });

  it("extends when sent again, and when it is a beginning of what was sent", () => {
    expect(verdictOf(prompt(SESSION), prompt(SESSION))).toMatchObject({ kind: "extends" });
    expect(verdictOf(prompt(SESSION), prompt(HEAD))).toMatchObject({ kind: "extends" });
  });

  it("extends when the last message was continued", () => {
    expect(
      verdictOf(prompt(SESSION), prompt([...HEAD, "a:call", "t:result", "a:done", "u:two and three"])),
    ).toMatchObject({
      kind: "extends",
    });
  });

  it("extends when the last message was continued behind an image, or behind the text after one", () => {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
    const text = (words: string) => ({ type: "text", text: words });
    const user = (...content: object[]): GuardedPrompt => ({
      tools: [],
      messages: ["one", content].map((each) => ({
        role: "user",
        json: JSON.stringify({ role: "user", content: each }),
      })),
    });
    for (const [before, now] of [
      [user(image), user(image, text("Summarise."))],
      [user(text("look"), image), user(text("look"), image, image)],
      [user(image, text("look")), user(image, text("look\n\nSummarise."))],
      [user(image, text("look")), user(image, text("look"), image)],
    ] as const)
      expect(verdictOf(before, now)).toMatchObject({ kind: "extends" });
    for (const [before, now] of [
      [user(image), user(text("Summarise."))],
      [user(image, text("look")), user(image, text("Summarise."))],
      [user(text("look"), image), user(text("look"), text("again"), image)],
    ] as const)
      expect(verdictOf(before, now)).toMatchObject({ cause: "message-edited" });
  });

  it("extends for any session that only grows", () => {
    const growing = fc.array(fc.array(fc.string(), { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(growing, (turns) => {
        const guard = createPrefixGuard();
        const messages = ["s:You are"];
        for (const [index, turn] of turns.entries()) {
          messages.push(...turn.map((text) => `u:${text}`));
          expect(guard.observe(key, prompt([...messages])).kind).toBe(index === 0 ? "first" : "extends");
        }
      }),
    );
  });
});

describe("what diverged", () => {
  const changed = (index: number, text: string) => SESSION.map((message, at) => (at === index ? text : message));

  it.each([
    ["the system text", prompt(changed(0, "s:You were")), { section: "system" }, "system-changed"],
    ["no system text any more", prompt(SESSION.slice(1)), { section: "system" }, "system-changed"],
    ["the order of tools", prompt(SESSION, ["Bash", "Read"]), { section: "tools", index: 0 }, "tools-reordered"],
    ["a tool more", prompt(SESSION, ["Read", "Bash", "Edit"]), { section: "tools", index: 2 }, "tools-added"],
    ["a tool less", prompt(SESSION, ["Read"]), { section: "tools", index: 1 }, "tools-removed"],
    ["another tool", prompt(SESSION, ["Read", "Edit"]), { section: "tools", index: 1 }, "tools-changed"],
    ["the effort", prompt(SESSION, ["Read", "Bash"], "low"), { section: "head" }, "effort-changed"],
    ["a message", prompt(changed(2, "a:other")), { section: "message", index: 2, role: "assistant" }, "message-edited"],
    [
      "the last message",
      prompt(changed(5, "u:other")),
      { section: "message", index: 5, role: "user" },
      "message-edited",
    ],
    [
      "a message more",
      prompt([...SESSION.slice(0, 3), "u:extra", ...SESSION.slice(3)]),
      { section: "message", index: 3, role: "user" },
      "messages-inserted",
    ],
    [
      "messages less",
      prompt([...SESSION.slice(0, 2), ...SESSION.slice(4), "a:more", "u:more"]),
      { section: "message", index: 2, role: "assistant" },
      "messages-removed",
    ],
    [
      "a compaction",
      prompt(["s:You are", "u:summary", "a:ok", "u:go on"]),
      { section: "message", index: 1, role: "user" },
      "history-replaced",
    ],
  ] as const)("is named with its place: %s", (_, next, at, cause) => {
    expect(verdictOf(prompt(SESSION), next)).toMatchObject({ kind: "diverged", at, cause });
  });

  it("is named where the template is given other arguments", () => {
    const thinking = (chat_template_kwargs?: object) => ({
      ...prompt(SESSION),
      ...(chat_template_kwargs && { template: { chat_template_kwargs } }),
    });
    const on = thinking({ enable_thinking: true });
    const cause = "template-arguments-changed";
    expect(verdictOf(on, thinking({ enable_thinking: false }))).toMatchObject({ at: { section: "head" }, cause });
    expect(verdictOf(on, thinking())).toMatchObject({ cause });
    expect(verdictOf(thinking(), on)).toMatchObject({ cause });
    expect(verdictOf(on, thinking({ enable_thinking: true }))).toMatchObject({ kind: "extends" });
    expect(verdictOf(thinking(), { ...prompt(SESSION), template: {} })).toMatchObject({ kind: "extends" });
  });

  it("is said once: the next prompt is compared with the new one", () => {
    const edited = changed(2, "a:other");
    expect(verdictOf(prompt(SESSION), prompt(edited), prompt([...edited, "a:x"]))).toMatchObject({ kind: "extends" });
  });

  it("is found for any change of any message", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string(), { minLength: 3, maxLength: 20 }),
        fc.nat(),
        fc.string({ minLength: 1 }),
        (texts, at, more) => {
          const index = at % (texts.length - 1);
          const messages = ["s:You are", ...texts.map((text) => `a:${text}`)];
          const edited = messages.map((message, place) => (place === index + 1 ? `${message}${more}` : message));
          expect(verdictOf(prompt(messages), prompt(edited))).toMatchObject({
            kind: "diverged",
            at: { index: index + 1 },
          });
        },
      ),
    );
  });
});

describe("lines of one session", () => {
  it("are kept apart: side calls, and agents without a name", () => {
    const guard = createPrefixGuard();
    const see = (...messages: string[]) => guard.observe(key, prompt(messages)).kind;
    expect(see(...HEAD)).toBe("first");
    expect(see("s:Write a title", "u:one two")).toBe("first");
    expect(see(...HEAD, "a:call", "t:result")).toBe("extends");
    expect(see("s:You are", "u:a task for another agent")).toBe("diverged");
    expect(see(...HEAD, "a:call", "t:result", "a:done")).toBe("extends");
    expect(see("s:You are", "u:a task for another agent", "a:ok")).toBe("extends");
  });

  it.each([2, 3, 6])("are kept apart: %i agents without a name that take turns", (count) => {
    const guard = createPrefixGuard();
    const turn = (agent: number, turns: number) =>
      prompt(["s:You are a subagent", ...Array.from({ length: turns }, (_, n) => `u:task ${agent}, step ${n}`)]);
    guard.observe(key, prompt(HEAD));
    const agents = Array.from({ length: count }, (_, agent) => agent);
    for (const agent of agents.slice(1)) guard.observe(key, turn(agent, 1));
    // One of them with another effort at first.
    guard.observe(key, { ...turn(0, 1), effort: "low" });
    guard.observe(key, turn(0, 1));
    for (let turns = 2; turns < 6; turns++)
      for (const agent of agents) expect(guard.observe(key, turn(agent, turns)).kind).toBe("extends");
    expect(guard.observe(key, prompt([...HEAD, "a:done"])).kind).toBe("extends");
  });

  it("are compared with the one used last, of those equally near", () => {
    const guard = createPrefixGuard();
    guard.observe(key, prompt(SESSION));
    guard.observe(key, prompt(["s:You are", "u:another task", "a:look", "t:seen"]));
    expect(guard.observe(key, prompt(["s:You are", "u:a third task", "a:look", "t:seen"]))).toMatchObject({
      cause: "message-edited",
    });
    expect(guard.observe(key, prompt(["s:You are", "u:a fourth", "t:result", "a:done"]))).toMatchObject({
      cause: "history-replaced",
    });
  });

  it("are kept apart by tenant, session, agent and model", () => {
    const guard = createPrefixGuard();
    guard.observe(key, prompt(HEAD));
    for (const other of [{ tenant: "x" }, { session: "x" }, { agent: "x" }, { model: "x" }]) {
      expect(guard.observe({ ...key, ...other }, prompt(HEAD))).toMatchObject({ kind: "first" });
    }
  });
});

describe("what it keeps", () => {
  it("is bounded: the sessions longest silent are forgotten", () => {
    const guard = createPrefixGuard({ maxHeld: 100, maxLines: 5 });
    for (let index = 0; index < 50; index++) {
      guard.observe({ ...key, session: `s${index}` }, prompt(SESSION));
      expect(guard.held).toBeLessThanOrEqual(100);
    }
    const again = (session: string) => guard.observe({ ...key, session }, prompt(SESSION)).kind;
    expect([again("s49"), again("s44")]).toEqual(["extends", "first"]);
    const large = Array.from({ length: 500 }, (_, index) => `a:${index}`);
    guard.observe({ ...key, session: "large" }, prompt(large));
    expect(guard.observe({ ...key, session: "large" }, prompt([...large, "u:x"]))).toMatchObject({ kind: "extends" });
    expect(again("s49")).toBe("first");
  });

  it("is bounded in conversations, however many one session has", () => {
    const guard = createPrefixGuard({ maxLines: 6 });
    const see = (session: string, n: number) =>
      guard.observe({ ...key, session }, prompt([`s:agent ${n}`, `u:${n}`])).kind;
    for (let n = 0; n < 3; n++) see("small", n);
    for (let n = 0; n < 3; n++) see("large", n);
    expect(see("small", 0)).toBe("extends");
    for (let n = 3; n < 9; n++) see("large", n);
    expect([see("large", 8), see("small", 0)]).toEqual(["extends", "first"]);
  });
});
