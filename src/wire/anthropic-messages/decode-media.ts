/** Decodes images and documents from each of the sources that they may have. */
import type { DocumentPart, ImagePart, JsonObject, TextPart, ToolResultContent } from "../../conversation/request.ts";
import type { DecodeContext } from "./decode-context.ts";
import { describeBlock } from "./describe-block.ts";
import { isGiven, requireArray, requireName, requireObject, requireString } from "./fields.ts";

export function decodeImage(block: JsonObject, path: string, context: DecodeContext): ImagePart | TextPart {
  const source = requireObject(block["source"], `${path}.source`);
  const type = requireString(source["type"], `${path}.source.type`);
  switch (type) {
    case "base64":
      return {
        type: "image",
        source: {
          kind: "base64",
          mediaType: requireName(source["media_type"], `${path}.source.media_type`),
          data: requireName(source["data"], `${path}.source.data`),
        },
      };
    case "url":
      return { type: "image", source: { kind: "url", url: requireName(source["url"], `${path}.source.url`) } };
    default:
      return unreadable("image", source, type, context);
  }
}

/** A document of content blocks gives a part for each run of text and each image, in order. */
export function decodeDocument(
  block: JsonObject,
  path: string,
  content: Pick<ToolResultContent[], "push">,
  context: DecodeContext,
): void {
  const source = requireObject(block["source"], `${path}.source`);
  const type = requireString(source["type"], `${path}.source.type`);
  const sourcePath = `${path}.source`;
  switch (type) {
    case "text":
      content.push(documentPart(block, { kind: "text", text: requireString(source["data"], `${sourcePath}.data`) }));
      return;
    case "base64":
      decodeBase64(block, source, sourcePath, content, context);
      return;
    case "url":
      content.push(documentPart(block, { kind: "url", url: requireName(source["url"], `${sourcePath}.url`) }));
      return;
    case "content":
      decodeContentSource(block, source["content"], `${sourcePath}.content`, content, context);
      return;
    default:
      content.push(unreadable("document", source, type, context));
  }
}

function decodeBase64(
  block: JsonObject,
  source: JsonObject,
  path: string,
  content: Pick<ToolResultContent[], "push">,
  context: DecodeContext,
): void {
  const data = requireName(source["data"], `${path}.data`);
  const mediaType = requireName(source["media_type"], `${path}.media_type`);
  if (mediaType === "application/pdf") content.push(documentPart(block, { kind: "pdf", data }));
  else if (mediaType.startsWith("text/") || mediaType === "application/json")
    content.push(documentPart(block, { kind: "text", text: Buffer.from(data, "base64").toString("utf8") }));
  else content.push(unreadable("document", source, mediaType, context));
}

function decodeContentSource(
  block: JsonObject,
  value: unknown,
  path: string,
  content: Pick<ToolResultContent[], "push">,
  context: DecodeContext,
): void {
  let text = "";
  const flush = () => {
    if (text !== "") content.push(documentPart(block, { kind: "text", text }));
    text = "";
  };
  if (typeof value === "string") text = value;
  else {
    const parts = requireArray(value, path);
    for (let at = 0; at < parts.length; at++) {
      const part = requireObject(parts[at], `${path}.${at}`);
      const type = requireString(part["type"], `${path}.${at}.type`);
      if (type === "image") {
        flush();
        content.push(decodeImage(part, `${path}.${at}`, context));
      } else {
        const line = type === "text" ? requireString(part["text"], `${path}.${at}.text`) : describeBlock(part, type);
        text += text === "" ? line : `\n${line}`;
      }
    }
  }
  flush();
}

function documentPart(block: JsonObject, source: DocumentPart["source"]): DocumentPart {
  const part: DocumentPart = { type: "document", source };
  if (isGiven(block["title"]) && typeof block["title"] === "string") part.title = block["title"];
  if (isGiven(block["context"]) && typeof block["context"] === "string") part.context = block["context"];
  return part;
}

/** What lies at Anthropic, or in a format that nothing here reads: the model is told that it was there. */
function unreadable(what: string, source: JsonObject, type: string, context: DecodeContext): TextPart {
  context.ignored.note("source", type);
  const file = source["file_id"];
  const name = typeof file === "string" ? ` ${file}` : "";
  return { type: "text", text: `[${what}${name} (${type}) was attached here, but cannot be read by this model]` };
}
