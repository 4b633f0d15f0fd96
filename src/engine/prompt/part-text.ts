/** Renders the parts of a message that are not plain text as text: documents, references, images nobody can see, errors. */
import type { DocumentPart, ImagePart, SystemPart } from "../../conversation/request.ts";
import { type EnginePart, joinTexts } from "./engine-message.ts";

export const IMAGE_OMITTED = "[image omitted: this model cannot see images]";
/** Stands in a tool's result for an image, which only a user message may carry. */
export const IMAGE_FOLLOWS = "[image: in the next message]";
/** Stands in a system message for an image, which follows as the user's. */
const IMAGE_BELOW = "[image: see below]";

export function imagePart(part: ImagePart): EnginePart {
  const { source } = part;
  const url = source.kind === "url" ? source.url : `data:${source.mediaType};base64,${source.data}`;
  return { type: "image_url", image_url: { url } };
}

/** A system message as text, since templates take nothing else there, and its images for a user message, where the model can see them. */
export function systemText(content: readonly SystemPart[], vision: boolean): { text: string; images: SystemPart[] } {
  let text = "";
  const images: SystemPart[] = [];
  for (const part of content) {
    if (part.type === "text") text = joinTexts(text, part.text);
    else {
      text = joinTexts(text, vision ? IMAGE_BELOW : IMAGE_OMITTED);
      if (vision) images.push({ type: "text", text: "Image in the system message:" }, part);
    }
  }
  return { text, images };
}

/** A document's text between tags that name it. A PDF is text by now (documents.ts), or could not be read. */
export function documentText(part: DocumentPart): string {
  const title = part.title ? ` title=${JSON.stringify(part.title)}` : "";
  const context = part.context ? `${part.context}\n\n` : "";
  const { source } = part;
  if (source.kind === "text") return `<document${title}>\n${context}${source.text}\n</document>`;
  if (source.kind === "pdf") return `<document${title}>\n${context}[a PDF whose text could not be read]\n</document>`;
  return `<document${title} source=${JSON.stringify(source.url)}>\n${context}[not fetched]\n</document>`;
}

/**
 * Shows the model that a tool call failed: no chat template has a field for it. Depends on this result alone, so it never
 * changes later. Results that say so themselves, as most of Claude Code's do, are left as they are.
 */
export function errorText(text: string): string {
  if (text === "") return "Error";
  return /^\s*(<tool_use_error>|\[?error\b)/i.test(text) ? text : `Error: ${text}`;
}
