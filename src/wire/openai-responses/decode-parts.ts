/** Decodes the content parts of Responses items: messages of users, and results of tools. */
import type { DocumentPart, ImagePart, JsonObject, TextPart } from "../../conversation/request.ts";
import { decodeFile, decodeImage } from "../openai-chat/decode-content.ts";
import { isObject, refuse, requiredString, stringField } from "../openai-chat/fields.ts";
import type { Notes } from "../openai-chat/notes.ts";

type Part = TextPart | ImagePart | DocumentPart;

export function decodeParts(content: unknown, param: string, notes: Notes): Part[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return [{ type: "text", text: content }];
  const values = Array.isArray(content) ? content : refuse(param, "must be a string or an array of parts");
  const parts: Part[] = [];
  for (const [i, value] of values.entries()) {
    const part = decodePart(value, `${param}[${i}]`, notes);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

function decodePart(value: unknown, param: string, notes: Notes): Part | undefined {
  const part = isObject(value) ? value : refuse(param, "must be an object");
  const type = requiredString(part["type"], `${param}.type`);
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
      return {
        type: "text",
        text: stringField(part["text"], `${param}.text`) ?? refuse(`${param}.text`, "is missing"),
      };
    case "input_image":
      return imageOf(part, param, notes);
    case "input_file": {
      const url = stringField(part["file_url"], `${param}.file_url`);
      if (url === undefined) return decodeFile(part, param);
      return /^https?:\/\//i.test(url)
        ? { type: "document", source: { kind: "url", url } }
        : refuse(`${param}.file_url`, "must be an http(s) URL");
    }
    case "input_audio":
    case "input_video":
      return refuse(`${param}.type`, `content of type ${type} is not supported; text, images and files are`);
    default:
      if (typeof part["text"] === "string") return { type: "text", text: part["text"] };
      if (typeof part["refusal"] === "string") return { type: "text", text: part["refusal"] };
      notes.add("block", type);
      return undefined;
  }
}

/** Undefined for a part that is no image. */
export function imageOf(part: JsonObject, param: string, notes: Notes): ImagePart | undefined {
  if (part["type"] !== "input_image") return undefined;
  const at = `${param}.image_url`;
  if (part["image_url"] === undefined || part["image_url"] === null)
    return refuse(at, "is missing; images of uploaded files (file_id) are not stored here");
  if (part["detail"] !== undefined) notes.add("block", "input_image.detail");
  return decodeImage(part["image_url"], at, notes);
}
