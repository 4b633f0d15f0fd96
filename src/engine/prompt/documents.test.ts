import { describe, expect, it } from "vitest";
import type { ChatRequest, UserPart } from "../../conversation/request.ts";
import { prepareDocuments } from "./documents.ts";
import { rememberPdfs } from "./pdf-memory.ts";
import { type PdfText, readInWorker, readPdf } from "./pdf-text.ts";
import { request } from "./__fixtures__/requests.ts";

/** A PDF with one line of Helvetica a page: the smallest that real readers accept. */
function pdf(lines: string[]): Buffer {
  const objects = ["<< /Type /Catalog /Pages 2 0 R >>"];
  const kids = lines.map((_, index) => `${3 + 2 * index} 0 R`).join(" ");
  objects.push(`<< /Type /Pages /Kids [${kids}] /Count ${lines.length} >>`);
  for (const [index, line] of lines.entries()) {
    const stream = `BT /F1 12 Tf 72 720 Td (${line}) Tj ET`;
    const font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>";
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents ${4 + 2 * index} 0 R /Resources ${font} >>`,
      `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    );
  }
  let body = "%PDF-1.4\n";
  const offsets = objects.map((object, index) => {
    const offset = body.length;
    body += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, "0")} 00000 n \n`;
  });
  const xref = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join("")}`;
  return Buffer.from(
    `${body}${xref}trailer << /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF`,
    "latin1",
  );
}

const withDocument = (data: string): ChatRequest =>
  request([{ role: "user", content: [{ type: "document", title: "Plan", source: { kind: "pdf", data } }] }]);

describe("reading PDFs", () => {
  it("gives the text of each page", async () => {
    const text = await readPdf(pdf(["Hello world", "Second page"]).toString("base64"));
    expect(text).toEqual({ kind: "read", pages: ["Hello world", "Second page"], pageCount: 2 });
  });

  it("says why it could not, instead of failing the request", async () => {
    expect(await readPdf(Buffer.from("not a pdf").toString("base64"))).toEqual({
      kind: "failed",
      why: "it is not a valid PDF",
    });
  });

  it("ends a reading that takes too long", async () => {
    expect(await readInWorker(pdf(["slow"]), 1)).toEqual({ kind: "failed", why: "it took longer than 0.001 s" });
  });

  it("reads the same bytes once", async () => {
    const data = pdf(["once"]).toString("base64");
    expect(readPdf(data)).toBe(readPdf(data));
    await readPdf(data);
  });
});

describe("the memory of documents", () => {
  const pages = (chars: number): PdfText => ({ kind: "read", pages: ["x".repeat(chars)], pageCount: 1 });

  it("reads each once, a failure too, and forgets the longest unasked when it is full", async () => {
    const reads: string[] = [];
    const read = rememberPdfs((document) => {
      reads.push(document);
      return Promise.resolve(document === "bad" ? { kind: "failed", why: "broken" } : pages(9000));
    }, 25_000);
    for (const document of ["a", "b", "bad", "a", "c", "a", "bad", "b"]) await read(document);
    expect(reads).toEqual(["a", "b", "bad", "c", "b"]);
  });

  it("does not forget what is still being read", async () => {
    let finish: (text: PdfText) => void = () => {};
    let slowReads = 0;
    const read = rememberPdfs((document) => {
      if (document !== "slow") return Promise.resolve(pages(9000));
      slowReads++;
      return new Promise((resolve) => (finish = resolve));
    }, 5000);
    const slow = read("slow");
    await read("a");
    void read("slow");
    expect(slowReads).toBe(1);
    finish(pages(1));
    expect(await slow).toEqual(pages(1));
  });
});

describe("prepareDocuments", () => {
  it("returns a request without PDFs as it is", async () => {
    const plain = request([{ role: "user", content: [{ type: "document", source: { kind: "text", text: "t" } }] }]);
    expect(await prepareDocuments(plain, () => Promise.reject(new Error("not to be read")))).toBe(plain);
  });

  it("puts text in place of PDFs, in messages and in tool results, and leaves the original alone", async () => {
    const data = pdf(["Hello"]).toString("base64");
    const original = withDocument(data);
    const nested: UserPart = {
      type: "tool-result",
      callId: "c",
      isError: false,
      content: [{ type: "document", source: { kind: "pdf", data } }],
    };
    original.messages.push({ role: "user", content: [nested] });
    const before = structuredClone(original);
    const prepared = await prepareDocuments(original);
    expect(original).toEqual(before);
    const source = { kind: "text", text: "[page 1]\nHello" };
    expect(prepared.messages).toEqual([
      { role: "user", content: [{ type: "document", title: "Plan", source }] },
      { role: "user", content: [{ ...nested, content: [{ type: "document", source }] }] },
    ]);
  });

  it.each<[string, PdfText, string]>([
    [
      "more pages than shown",
      { kind: "read", pages: ["a"], pageCount: 3 },
      "[page 1]\na\n\n[2 more pages are not shown]",
    ],
    ["no text", { kind: "read", pages: ["", ""], pageCount: 2 }, "[a PDF of 2 pages without text, perhaps scanned]"],
    ["a failure", { kind: "failed", why: "it is encrypted" }, "[a PDF whose text could not be read: it is encrypted]"],
  ])("says so: %s", async (_, pdfText, text) => {
    const prepared = await prepareDocuments(withDocument("x"), () => Promise.resolve(pdfText));
    expect(prepared.messages[0]!.content[0]).toMatchObject({ source: { kind: "text", text } });
  });
});
