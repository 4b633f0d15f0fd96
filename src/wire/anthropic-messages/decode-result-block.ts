/** Decodes a content block that may stand both in a user message and in a tool's result. */
import type { JsonObject, ToolResultContent } from "../../conversation/request.ts";
import { decodeDocument, decodeImage } from "./decode-media.ts";
import type { DecodeContext } from "./decode-context.ts";
import { describeBlock } from "./describe-block.ts";
import { requireName, requireString } from "./fields.ts";

/** Pushes what the block holds. A block of a type unknown here becomes a note of its JSON: it is never lost or refused. */
export function decodeResultBlock(
  block: JsonObject,
  path: string,
  content: Pick<ToolResultContent[], "push">,
  context: DecodeContext,
): void {
  const type = requireString(block["type"], `${path}.type`);
  switch (type) {
    case "text": {
      const text = requireString(block["text"], `${path}.text`);
      if (text !== "") content.push({ type: "text", text });
      return;
    }
    case "image":
      content.push(decodeImage(block, path, context));
      return;
    case "document":
      decodeDocument(block, path, content, context);
      return;
    case "tool_reference":
      content.push({ type: "tool-reference", name: requireName(block["tool_name"], `${path}.tool_name`) });
      return;
    case "search_result":
      content.push({ type: "text", text: describeBlock(block, type) });
      return;
    default:
      context.ignored.note("block", type);
      content.push({ type: "text", text: describeBlock(block, type) });
  }
}
