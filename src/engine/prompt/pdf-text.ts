/** Reads the text of PDFs, each in a worker thread of its own that is ended when it takes too long or too much memory. */
import { Worker } from "node:worker_threads";
import { type ReadPdf, rememberPdfs } from "./pdf-memory.ts";

export type PdfText =
  /** `pages` are the first of `pageCount`: those within the limits. */
  { kind: "read"; pages: string[]; pageCount: number } | { kind: "failed"; why: string };

export type PdfJob = { data: Uint8Array; maxPages: number; maxChars: number };

/** Anthropic's API takes 600 pages; a book of 1,000,000 characters fills a window of about 250,000 tokens. */
const MAX_PAGES = 600;
const MAX_CHARS = 1_000_000;
const MAX_MS = 20_000;
const MAX_HEAP_MB = 512;
/** Readings at the same time; the rest wait, so that documents never take all cores from streams. */
const MAX_WORKERS = 2;
/** Characters of text remembered over all documents. */
const REMEMBERED_CHARS = 16_000_000;

const WORKER = new URL(import.meta.url.endsWith(".ts") ? "./pdf-worker.ts" : "./pdf-worker.js", import.meta.url);

let running = 0;
const waiting: (() => void)[] = [];

/** The text of a PDF given as base64. Never rejects: what went wrong is part of the answer. */
export const readPdf: ReadPdf = rememberPdfs(readInTurn, REMEMBERED_CHARS);

async function readInTurn(base64: string): Promise<PdfText> {
  if (running >= MAX_WORKERS) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await readInWorker(Buffer.from(base64, "base64"));
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

/** One reading in one worker. Exported for its limits to be tested. */
export function readInWorker(data: Uint8Array, maxMs: number = MAX_MS): Promise<PdfText> {
  return new Promise((resolve) => {
    const workerData: PdfJob = { data, maxPages: MAX_PAGES, maxChars: MAX_CHARS };
    // The library writes warnings to stdout; they are nobody's.
    const worker = new Worker(WORKER, {
      workerData,
      name: "evener-pdf",
      stdout: true,
      stderr: true,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    const finish = (text: PdfText): void => {
      clearTimeout(timer);
      resolve(text);
      void worker.terminate();
    };
    const timer = setTimeout(() => finish({ kind: "failed", why: `it took longer than ${maxMs / 1000} s` }), maxMs);
    worker.on("message", finish);
    worker.on("error", () => finish({ kind: "failed", why: "it is too large or broken" }));
    worker.on("exit", () => finish({ kind: "failed", why: "it is too large or broken" }));
  });
}
