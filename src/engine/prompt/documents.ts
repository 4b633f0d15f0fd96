/**
 * Turns PDFs in a request into text before it is rendered: engines read no documents.
 *
 * The same bytes give the same text in every request of a session (pdf-memory.ts), or the prompt would change.
 */
import type { ChatRequest, DocumentPart, Message, ToolResultPart, UserPart } from "../../conversation/request.ts";
import type { ReadPdf } from "./pdf-memory.ts";
import { type PdfText, readPdf } from "./pdf-text.ts";

/** The request with the text of its PDFs; the request itself, at no cost, when there are none. */
export async function prepareDocuments(request: ChatRequest, read: ReadPdf = readPdf): Promise<ChatRequest> {
  if (!request.messages.some(holdsPdf)) return request;
  const messages: Message[] = [];
  for (const message of request.messages)
    messages.push(holdsPdf(message) ? await preparedMessage(message, read) : message);
  return { ...request, messages };
}

function holdsPdf(message: Message): boolean {
  if (message.role !== "user") return false;
  return message.content.some((part) => isPdf(part) || (part.type === "tool-result" && part.content.some(isPdf)));
}

function isPdf(part: UserPart): boolean {
  return part.type === "document" && part.source.kind === "pdf";
}

async function preparedMessage(message: Message, read: ReadPdf): Promise<Message> {
  if (message.role !== "user") return message;
  const content: UserPart[] = [];
  for (const part of message.content) {
    if (part.type === "document") content.push(await preparedDocument(part, read));
    else content.push(part.type === "tool-result" ? await preparedResult(part, read) : part);
  }
  return { role: "user", content };
}

async function preparedResult(result: ToolResultPart, read: ReadPdf): Promise<ToolResultPart> {
  const content: ToolResultPart["content"] = [];
  for (const part of result.content) content.push(part.type === "document" ? await preparedDocument(part, read) : part);
  return { ...result, content };
}

async function preparedDocument(document: DocumentPart, read: ReadPdf): Promise<DocumentPart> {
  if (document.source.kind !== "pdf") return document;
  return { ...document, source: { kind: "text", text: textOf(await read(document.source.data)) } };
}

/** What the model reads in place of the PDF, its limits and failures said in words. */
function textOf(pdf: PdfText): string {
  if (pdf.kind === "failed") return `[a PDF whose text could not be read: ${pdf.why}]`;
  const shown = pdf.pages.map((text, index) => `[page ${index + 1}]\n${text}`).join("\n\n");
  if (pdf.pages.every((text) => text === "")) return `[a PDF of ${pdf.pageCount} pages without text, perhaps scanned]`;
  const missing = pdf.pageCount - pdf.pages.length;
  return missing > 0 ? `${shown}\n\n[${missing} more pages are not shown]` : shown;
}
