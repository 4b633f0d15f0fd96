/** The worker thread that reads one PDF: page by page within the job's limits, and posts one PdfText. */
import { parentPort, workerData } from "node:worker_threads";
import { getDocumentProxy } from "unpdf";
import type { PdfJob, PdfText } from "./pdf-text.ts";

async function read({ data, maxPages, maxChars }: PdfJob): Promise<PdfText> {
  const document = await getDocumentProxy(data);
  const pages: string[] = [];
  let chars = 0;
  for (let number = 1; number <= Math.min(document.numPages, maxPages); number++) {
    const { items } = await (await document.getPage(number)).getTextContent();
    let text = "";
    for (const item of items) if ("str" in item) text += item.hasEOL ? `${item.str}\n` : item.str;
    text = text.trim();
    chars += text.length;
    if (chars > maxChars) break;
    pages.push(text);
  }
  return { kind: "read", pages, pageCount: document.numPages };
}

function failure(error: unknown): PdfText {
  const name = error instanceof Error ? error.name : "";
  return { kind: "failed", why: name === "PasswordException" ? "it is encrypted" : "it is not a valid PDF" };
}

// eslint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
parentPort?.postMessage(await read(workerData as PdfJob).catch(failure));
