import { expect, test } from "vitest";
import { renderPrompt } from "./chat-template.ts";
import type { TemplateName } from "./options.ts";
import type { JsonObject } from "./script.ts";

const TOOL = { type: "function", function: { name: "read", parameters: { type: "object" } } };
const CALL = { id: "c1", type: "function", function: { name: "read", arguments: '{ "path" : "a" }' } };
const MESSAGES: JsonObject[] = [
  { role: "system", content: "Be brief." },
  {
    role: "user",
    content: [
      { type: "text", text: "Read" },
      { type: "text", text: "a" },
    ],
  },
  { role: "assistant", content: null, reasoning: "Hm.\n", tool_calls: [CALL] },
  { role: "tool", tool_call_id: "c1", content: "one" },
  { role: "tool", tool_call_id: "c2", content: "two" },
];

function render(
  messages: JsonObject[],
  options: { template?: TemplateName; tools?: JsonObject[]; prompt?: boolean } = {},
): string {
  return renderPrompt({
    template: options.template ?? "accepts-system",
    messages,
    tools: options.tools ?? [],
    templateArguments: {},
    addGenerationPrompt: options.prompt ?? true,
    blindModel: "m",
  });
}

test("renders ChatML with hermes tools", () => {
  const prompt = render(MESSAGES, { tools: [TOOL] });
  expect(prompt).toContain(`<tools>\n${JSON.stringify(TOOL)}\n</tools>`);
  expect(prompt.slice(prompt.indexOf("<|im_start|>user"))).toBe(
    "<|im_start|>user\nRead\na<|im_end|>\n" +
      "<|im_start|>assistant\n<think>\nHm.\n</think>\n\n" +
      '\n<tool_call>\n{"name": "read", "arguments": {"path":"a"}}\n</tool_call><|im_end|>\n' +
      "<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>\n" +
      "<|im_start|>assistant\n",
  );
});

test("a conversation that goes on begins with what it was", () => {
  for (let length = 1; length < MESSAGES.length; length++) {
    if (MESSAGES[length]?.["role"] === "tool" && MESSAGES[length - 1]?.["role"] === "tool") continue;
    const before = render(MESSAGES.slice(0, length), { prompt: false });
    expect(render(MESSAGES, { prompt: false }).startsWith(before)).toBe(true);
  }
});

test("templates differ in late system messages and in earlier reasoning", () => {
  const late = [...MESSAGES, { role: "system", content: "Reminder" }];
  expect(render(late)).toContain("<|im_start|>system\nReminder<|im_end|>");
  expect(() => render(late, { template: "refuses-late-system" })).toThrow("System message must be at the beginning.");
  expect(render(MESSAGES, { template: "refuses-late-system" })).toBe(render(MESSAGES));
  const next = [...MESSAGES, { role: "user", content: "And now?" }];
  expect(render(next)).toContain("Hm.");
  expect(render(next, { template: "drops-reasoning" })).not.toContain("Hm.");
  expect(render(MESSAGES, { template: "drops-reasoning" })).toContain("Hm.");
});

test("another image is another prompt, for a model that sees", () => {
  const withImage = (url: string): JsonObject[] => [
    { role: "user", content: [{ type: "image_url", image_url: { url } }] },
  ];
  const seeing = (url: string): string =>
    renderPrompt({
      template: "accepts-system",
      messages: withImage(url),
      tools: [],
      templateArguments: {},
      addGenerationPrompt: true,
      blindModel: undefined,
    });
  expect(seeing("data:a")).toBe(seeing("data:a"));
  expect(seeing("data:a")).not.toBe(seeing("data:b"));
  expect(() => render(withImage("data:a"))).toThrow("m is not a multimodal model");
});
