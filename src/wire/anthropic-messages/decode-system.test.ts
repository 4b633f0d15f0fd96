import { describe, expect, it } from "vitest";
import { decoded, messages } from "./__fixtures__/decode.ts";

const user = (content: unknown) => ({ role: "user", content });
const billing = "x-anthropic-billing-header: cc_version=2.1.197.d55; cch=0a1b2;";

describe("system text", () => {
  it("is a string or blocks, without the attribution line in any form", () => {
    const prompt = [{ type: "text", text: "You are." }];
    for (const system of [
      "You are.",
      `${billing}\nYou are.`,
      [
        { type: "text", text: billing },
        { type: "text", text: "You are.", cache_control: { type: "ephemeral" } },
      ],
      [{ type: "text", text: `${billing}\n\nYou are.` }],
      ["You are."],
    ])
      expect(decoded({ system }).system).toEqual(prompt);
    expect(decoded({ system: null }).system).toEqual([]);
    expect(decoded({ system: "" }).system).toEqual([]);
  });

  it("loses the attribution line inside the conversation too, and nothing of the user's", () => {
    expect(
      messages(user(billing), { role: "system", content: billing }, { role: "system", content: `${billing}\nS` }),
    ).toEqual([
      { role: "user", content: [{ type: "text", text: billing }] },
      { role: "system", content: [{ type: "text", text: "S" }] },
    ]);
  });

  it("may add tools in the middle of the conversation", () => {
    const request = decoded({
      tools: [{ name: "Late", input_schema: { type: "object" }, defer_loading: true }],
      messages: [
        user("a"),
        {
          role: "system",
          clear_at: "next_user_message",
          content: [
            { type: "text", text: "New tools." },
            { type: "tool_addition", tool: { type: "tool_reference", name: "Late" } },
            {
              type: "tool_addition",
              tool: { type: "tool_definition", definition: { name: "Inline", input_schema: { type: "object" } } },
            },
            { type: "tool_removal", tool: { type: "tool_reference", name: "Old" } },
          ],
        },
      ],
    });
    expect(request.messages.slice(1)).toEqual([
      { role: "system", content: [{ type: "text", text: "New tools." }] },
      {
        role: "user",
        content: [
          { type: "tool-reference", name: "Late" },
          { type: "tool-reference", name: "Inline" },
        ],
      },
    ]);
    expect(request.tools.map((tool) => [tool.name, tool.type === "function" && tool.deferred])).toEqual([
      ["Late", true],
      ["Inline", true],
    ]);
    expect(request.ignored).toEqual(["block:tool_removal", "field:clear_at"]);
  });

  it("may set the effort from there on", () => {
    const request = decoded({
      output_config: { effort: "high" },
      messages: [user("a"), { role: "system", output_config: { effort: "low" } }],
    });
    expect(request.reasoning.effort).toBe("low");
    const other: object = { role: "system", content: "b", output_config: {} };
    const later = decoded({ messages: [user("a"), { role: "system", output_config: { effort: "low" } }, other] });
    expect(later.reasoning.effort).toBe("low");
  });
});
