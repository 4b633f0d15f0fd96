import { describe, expect, it } from "vitest";
import { decoded, messages, refusal } from "./__fixtures__/decode.ts";

const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });

describe("roles", () => {
  it("keeps system and developer messages where they stood", () => {
    const list = [
      user("a"),
      { role: "system", content: "s" },
      assistant("b"),
      { role: "developer", content: [{ type: "text", text: "d" }] },
    ];
    expect(messages(...list).map((message) => [message.role, message.content])).toEqual([
      ["user", [{ type: "text", text: "a" }]],
      ["system", [{ type: "text", text: "s" }]],
      ["assistant", [{ type: "text", text: "b" }]],
      ["system", [{ type: "text", text: "d" }]],
    ]);
  });

  it("takes an unknown role for a user's, and says so", () => {
    const request = decoded({ messages: [{ role: "critic", content: "no" }] });
    expect(request.messages).toEqual([{ role: "user", content: [{ type: "text", text: "no" }] }]);
    expect(request.ignored).toEqual(["role:critic"]);
  });

  it("keeps a prefilled answer at the end", () => {
    expect(messages(user("a"), assistant("{")).at(-1)).toEqual({
      role: "assistant",
      content: [{ type: "text", text: "{" }],
    });
  });

  it.each([[""], [[]], [[{ type: "text", text: "" }]], [null], [undefined]])(
    "leaves an assistant message of %j out",
    (content) => {
      expect(messages(user("a"), assistant(content), user("b")).map((message) => message.role)).toEqual([
        "user",
        "user",
      ]);
    },
  );
});

describe("a wrong message is refused by its path", () => {
  it.each([
    [undefined, "messages: Field required"],
    ["hi", "messages: Input should be a valid array"],
    [[], "messages: at least one message is required"],
    [[assistant("")], "messages: at least one message must have content"],
    [["hi"], "messages.0: Input should be a valid object"],
    [[{ content: "x" }], "messages.0.role: Field required"],
    [[user("a"), { role: "user" }], "messages.1.content: Field required"],
    [[user(3)], "messages.0.content: Input should be a valid array"],
    [[user([3])], "messages.0.content.0: Input should be a valid object"],
    [[user([{ text: "a" }])], "messages.0.content.0.type: Field required"],
    [[user([{ type: "text" }])], "messages.0.content.0.text: Field required"],
    [[user([{ type: "text", text: 1 }])], "messages.0.content.0.text: Input should be a valid string"],
    [[user([{ type: "image" }])], "messages.0.content.0.source: Field required"],
    [
      [user([{ type: "image", source: { type: "base64", media_type: "image/png" } }])],
      "messages.0.content.0.source.data: Field required",
    ],
    [[user([{ type: "tool_result", content: "x" }])], "messages.0.content.0.tool_use_id: Field required"],
    [
      [user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "text" }] }])],
      "messages.0.content.0.content.0.text: Field required",
    ],
    [[assistant([{ type: "tool_use", name: "T", input: {} }])], "messages.0.content.0.id: Field required"],
    [
      [assistant([{ type: "tool_use", id: "t", name: "", input: {} }])],
      "messages.0.content.0.name: String should have at least 1 character",
    ],
  ])("%j", (list, message) => {
    const error = refusal({ messages: list });
    expect(error.code).toBe("invalid_request");
    expect(error.message).toBe(message);
    expect(error.param).toBe(message.slice(0, message.indexOf(":")));
  });
});
