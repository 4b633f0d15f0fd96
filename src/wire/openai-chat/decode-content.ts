/** Decodes message content, a string or a list of parts, into canonical parts. */
import type { DocumentPart, ImagePart, JsonObject, SystemPart, TextPart } from "../../conversation/request.ts";
import { arrayField, isObject, refuse, requiredString, stringField } from "./fields.ts";
import type { Notes } from "./notes.ts";

export type ContentPart = TextPart | ImagePart | DocumentPart;

/** Content that only text may stand in (assistant, instructions). An empty string is no part. */
export function decodeText(content: unknown, param: string, notes: Notes): TextPart[] {
  return decodeTextAnd<never>(content, param, notes, () => undefined);
}

/** Content of a system or developer message: text, and images as a wire writes them. */
export function decodeSystem(
  content: unknown,
  param: string,
  notes: Notes,
  image: (part: JsonObject, param: string, notes: Notes) => ImagePart | undefined = imageOf,
): SystemPart[] {
  return decodeTextAnd(content, param, notes, image);
}

function decodeTextAnd<P>(
  content: unknown,
  param: string,
  notes: Notes,
  other: (part: JsonObject, param: string, notes: Notes) => P | undefined,
): (TextPart | P)[] {
  if (content === undefined || content === null || content === "") return [];
  if (typeof content === "string") return [{ type: "text", text: content }];
  const parts: (TextPart | P)[] = [];
  for (const [i, value] of (arrayField(content, param) ?? []).entries()) {
    const at = `${param}[${i}]`;
    const part = isObject(value) ? value : refuse(at, "must be an object");
    const type = requiredString(part["type"], `${at}.type`);
    const special = other(part, at, notes);
    const text = type === "refusal" ? part["refusal"] : part["text"];
    if (special !== undefined) parts.push(special);
    else if (typeof text === "string") {
      if (text !== "") parts.push({ type: "text", text });
    } else if (type === "text") refuse(`${at}.text`, "must be a string");
    else notes.add("block", type);
  }
  return parts;
}

function imageOf(part: JsonObject, param: string, notes: Notes): ImagePart | undefined {
  return part["type"] === "image_url" ? decodeImage(part["image_url"], `${param}.image_url`, notes) : undefined;
}

/** Content of a user or tool message. */
export function decodeParts(content: unknown, param: string, notes: Notes): ContentPart[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return [{ type: "text", text: content }];
  const parts: ContentPart[] = [];
  const values = Array.isArray(content) ? content : refuse(param, "must be a string or an array of parts");
  for (const [i, value] of values.entries()) {
    const part = decodePart(value, `${param}[${i}]`, notes);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

function decodePart(value: unknown, param: string, notes: Notes): ContentPart | undefined {
  if (typeof value === "string") return { type: "text", text: value };
  const part = isObject(value) ? value : refuse(param, "must be an object");
  const type = requiredString(part["type"], `${param}.type`);
  switch (type) {
    case "text":
    case "input_text":
      return {
        type: "text",
        text: stringField(part["text"], `${param}.text`) ?? refuse(`${param}.text`, "is missing"),
      };
    case "image_url":
      return decodeImage(part["image_url"], `${param}.image_url`, notes);
    case "file":
      return decodeFile(part["file"], `${param}.file`);
    case "input_audio":
    case "audio_url":
    case "video_url":
      // Dropping what the question is about would let the model answer another question.
      return refuse(`${param}.type`, `content of type ${type} is not supported; text, image_url and file are`);
    default:
      if (typeof part["text"] === "string") return { type: "text", text: part["text"] };
      notes.add("block", type);
      return undefined;
  }
}

export function decodeImage(value: unknown, param: string, notes: Notes): ImagePart {
  if (isObject(value) && value["detail"] !== undefined) notes.add("block", "image_url.detail");
  // The bare string is not OpenAI's form, but several clients send it and vLLM takes it.
  const url = isObject(value) ? requiredString(value["url"], `${param}.url`) : requiredString(value, param);
  const data = readDataUrl(url, param);
  if (data !== undefined) return { type: "image", source: { kind: "base64", ...data } };
  if (!/^https?:\/\//i.test(url)) refuse(param, "must be an http(s) or data URL");
  return { type: "image", source: { kind: "url", url } };
}

export function decodeFile(value: unknown, param: string): DocumentPart {
  const file = isObject(value) ? value : refuse(param, "must be an object");
  const content = stringField(file["file_data"], `${param}.file_data`);
  if (content === undefined) return refuse(param, "only files with inline file_data are supported, not uploaded ones");
  const data = readDataUrl(content, `${param}.file_data`);
  if (data === undefined) return refuse(`${param}.file_data`, "must be a data URL");
  const filename = stringField(file["filename"], `${param}.filename`);
  const title = filename === undefined ? {} : { title: filename };
  if (data.mediaType === "application/pdf") {
    return { type: "document", ...title, source: { kind: "pdf", data: data.data } };
  }
  if (data.mediaType.startsWith("text/") || data.mediaType === "application/json") {
    const text = Buffer.from(data.data, "base64").toString("utf8");
    return { type: "document", ...title, source: { kind: "text", text } };
  }
  return refuse(`${param}.file_data`, `files of type ${data.mediaType} are not supported; PDF and text are`);
}

/** Takes a data URL apart (RFC 2397); undefined if it is none. Data that is not base64 becomes base64. */
function readDataUrl(url: string, param: string): { mediaType: string; data: string } | undefined {
  if (!/^data:/i.test(url)) return undefined;
  const comma = url.indexOf(",");
  if (comma === -1) return refuse(param, "is a data URL without data");
  const [mediaType = "", ...attributes] = url.slice("data:".length, comma).split(";");
  const data = url.slice(comma + 1);
  const base64 = attributes.some((attribute) => attribute.trim().toLowerCase() === "base64");
  return {
    mediaType: mediaType.trim().toLowerCase() || "text/plain",
    data: base64 ? data : percentDecoded(data, param).toString("base64"),
  };
}

function percentDecoded(data: string, param: string): Buffer {
  try {
    return Buffer.from(decodeURIComponent(data), "utf8");
  } catch {
    return refuse(param, "is a data URL whose data is neither base64 nor percent-encoded UTF-8");
  }
}
