/** Decodes one content block of a user message. */
import type { UserPart } from "../../conversation/request.ts";
import type { DecodeContext } from "./decode-context.ts";
import { decodeResultBlock } from "./decode-result-block.ts";
import { isGiven, requireArray, requireName, requireObject } from "./fields.ts";
import type { JsonObject, ToolResultContent } from "../../conversation/request.ts";

export function decodeUserBlock(value: unknown, path: string, content: UserPart[], context: DecodeContext): void {
  if (typeof value === "string") {
    if (value !== "") content.push({ type: "text", text: value });
    return;
  }
  const block = requireObject(value, path);
  if (block["type"] === "tool_result") content.push(decodeToolResult(block, path, context));
  else decodeResultBlock(block, path, content, context);
}

function decodeToolResult(block: JsonObject, path: string, context: DecodeContext): UserPart {
  const callId = requireName(block["tool_use_id"], `${path}.tool_use_id`);
  const content: ToolResultContent[] = [];
  const value = block["content"];
  if (typeof value === "string") {
    if (value !== "") content.push({ type: "text", text: value });
  } else if (isGiven(value)) {
    const parts = requireArray(value, `${path}.content`);
    for (let at = 0; at < parts.length; at++) {
      const part = parts[at];
      const partPath = `${path}.content.${at}`;
      if (typeof part === "string") content.push({ type: "text", text: part });
      else decodeResultBlock(requireObject(part, partPath), partPath, content, context);
    }
  }
  return { type: "tool-result", callId, content, isError: block["is_error"] === true };
}
