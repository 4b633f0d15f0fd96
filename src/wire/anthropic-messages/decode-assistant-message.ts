/** Decodes an assistant message, blocks of Anthropic's own server tools in its history included. */
import type { AssistantPart, JsonObject, Message, ReasoningPart, UserPart } from "../../conversation/request.ts";
import type { DecodeContext } from "./decode-context.ts";
import { describeBlock, referencedTools } from "./describe-block.ts";
import { isGiven, requireArray, requireName, requireObject, requireString } from "./fields.ts";

export function decodeAssistantMessage(
  value: unknown,
  path: string,
  messages: Message[],
  context: DecodeContext,
): void {
  let content: AssistantPart[] = [];
  if (typeof value === "string") {
    if (value !== "") content.push({ type: "text", text: value });
  } else if (isGiven(value)) {
    const blocks = requireArray(value, path);
    for (let at = 0; at < blocks.length; at++) {
      const block = blocks[at];
      if (typeof block === "string") {
        if (block !== "") content.push({ type: "text", text: block });
        continue;
      }
      const references = decodeBlock(requireObject(block, `${path}.${at}`), `${path}.${at}`, content, context);
      if (references === undefined) continue;
      // Anthropic's own tool search answers inside the assistant's message; a reference stands in a user's here.
      if (content.length > 0) messages.push({ role: "assistant", content });
      messages.push({ role: "user", content: references });
      content = [];
    }
  }
  if (content.length > 0) messages.push({ role: "assistant", content });
}

/** Pushes what the block holds, and returns references to tools where it loads some. */
function decodeBlock(
  block: JsonObject,
  path: string,
  content: AssistantPart[],
  context: DecodeContext,
): UserPart[] | undefined {
  const type = requireString(block["type"], `${path}.type`);
  switch (type) {
    case "text": {
      const text = requireString(block["text"], `${path}.text`);
      if (text !== "") content.push({ type: "text", text });
      return undefined;
    }
    case "tool_use":
      content.push({
        type: "tool-call",
        id: requireName(block["id"], `${path}.id`),
        name: requireName(block["name"], `${path}.name`),
        arguments: argumentsText(block["input"]),
      });
      return undefined;
    case "thinking": {
      const text = requireString(block["thinking"], `${path}.thinking`);
      if (text !== "") content.push({ type: "reasoning", text, signed: signedBy(text, block["signature"], context) });
      return undefined;
    }
    case "redacted_thinking":
    case "fallback":
    case "mcp_tool_listing":
      context.ignored.note("block", type);
      return undefined;
    case "tool_search_tool_result": {
      const references: UserPart[] = referencedTools(block).map((name) => ({ type: "tool-reference", name }));
      if (references.length > 0) return references;
      break;
    }
    case "compaction":
      if (typeof block["content"] === "string" && block["content"] !== "")
        content.push({ type: "text", text: block["content"] });
      return undefined;
  }
  context.ignored.note("block", type);
  content.push({ type: "text", text: describeBlock(block, type) });
  return undefined;
}

/**
 * The JSON text of a call's arguments. A string is what this gateway's own answers carry when the model wrote arguments
 * that are not a JSON object: it is given back as it was.
 */
function argumentsText(input: unknown): string {
  if (!isGiven(input)) return "{}";
  return typeof input === "string" ? input : JSON.stringify(input);
}

function signedBy(text: string, signature: unknown, context: DecodeContext): ReasoningPart["signed"] {
  if (typeof signature !== "string" || signature === "") return "none";
  return context.isOwn(text, signature) ? "ours" : "foreign";
}
