/** Decodes system text: the one before the conversation, and system messages inside it. */
import type { JsonObject, Message, TextPart, UserPart } from "../../conversation/request.ts";
import { stripAttribution } from "./attribution.ts";
import type { DecodeContext } from "./decode-context.ts";
import {
  isGiven,
  isObject,
  optionalString,
  requireArray,
  requireName,
  requireObject,
  requireString,
} from "./fields.ts";
import { describeBlock } from "./describe-block.ts";

/** The `system` field: a string or text blocks, without the attribution line and without empty blocks. */
export function decodeSystem(value: unknown, context: DecodeContext): TextPart[] {
  const parts: TextPart[] = [];
  forEachBlock(value, "system", (block, path) => decodeText(block, path, parts, context));
  return parts;
}

/**
 * A system message keeps its place. The tools that it adds are references, which only user messages carry in the
 * canonical form, so they follow it in a user message of their own.
 */
export function decodeSystemMessage(
  message: JsonObject,
  path: string,
  messages: Message[],
  context: DecodeContext,
): void {
  const content: TextPart[] = [];
  const references: UserPart[] = [];
  forEachBlock(message["content"], `${path}.content`, (block, blockPath) => {
    if (block["type"] === "tool_addition") decodeToolAddition(block, blockPath, references, context);
    else if (block["type"] === "tool_removal") context.ignored.note("block", "tool_removal");
    else decodeText(block, blockPath, content, context);
  });
  if (content.length > 0) messages.push({ role: "system", content });
  if (references.length > 0) messages.push({ role: "user", content: references });
  const config = message["output_config"];
  if (isObject(config))
    context.effort = optionalString(config["effort"], `${path}.output_config.effort`) ?? context.effort;
  // A message that takes itself back later would change what earlier turns were prefilled with.
  if (isGiven(message["clear_at"]) && message["clear_at"] !== "never") context.ignored.note("field", "clear_at");
}

function decodeText(block: JsonObject, path: string, parts: TextPart[], context: DecodeContext): void {
  const type = requireString(block["type"], `${path}.type`);
  if (type === "text") {
    const text = stripAttribution(requireString(block["text"], `${path}.text`));
    if (text !== "") parts.push({ type: "text", text });
    return;
  }
  context.ignored.note("block", type);
  parts.push({ type: "text", text: describeBlock(block, type) });
}

function decodeToolAddition(block: JsonObject, path: string, references: UserPart[], context: DecodeContext): void {
  const tool = requireObject(block["tool"], `${path}.tool`);
  switch (tool["type"]) {
    case "tool_reference":
      references.push({ type: "tool-reference", name: requireName(tool["name"], `${path}.tool.name`) });
      return;
    case "tool_definition": {
      const definition = requireObject(tool["definition"], `${path}.tool.definition`);
      context.lateTools.push({ definition, path: `${path}.tool.definition` });
      if (typeof definition["name"] === "string") references.push({ type: "tool-reference", name: definition["name"] });
      return;
    }
    default:
      context.ignored.note("block", "tool_addition");
  }
}

function forEachBlock(value: unknown, path: string, each: (block: JsonObject, path: string) => void): void {
  if (!isGiven(value)) return;
  if (typeof value === "string") {
    each({ type: "text", text: value }, path);
    return;
  }
  const blocks = requireArray(value, path);
  for (let at = 0; at < blocks.length; at++) {
    const block = blocks[at];
    each(
      typeof block === "string" ? { type: "text", text: block } : requireObject(block, `${path}.${at}`),
      `${path}.${at}`,
    );
  }
}
