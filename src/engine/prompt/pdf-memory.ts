/**
 * Remembers what was read of documents, by their bytes, as long as the texts together stay below a limit; the document
 * longest not asked for is forgotten first. Whatever came of the first reading, a failure too, stands for the later ones,
 * so that a prompt does not change with the load of the machine.
 */
import { hash } from "node:crypto";
import type { PdfText } from "./pdf-text.ts";

export type ReadPdf = (base64: string) => Promise<PdfText>;

/** What an entry costs beside its text. */
const ENTRY_CHARS = 1000;

/** `read` with a memory of at most `maxChars` characters. Two askers at the same time share one reading. */
export function rememberPdfs(read: ReadPdf, maxChars: number): ReadPdf {
  const remembered = new Map<string, { text: Promise<PdfText>; chars: number }>();
  let held = 0;
  return (base64) => {
    const key = hash("sha256", base64);
    const known = remembered.get(key);
    if (known) {
      remembered.delete(key);
      remembered.set(key, known);
      return known.text;
    }
    const entry = { text: read(base64), chars: 0 };
    remembered.set(key, entry);
    void entry.text.then((text) => {
      entry.chars = ENTRY_CHARS;
      if (text.kind === "read") for (const page of text.pages) entry.chars += page.length;
      held += entry.chars;
      for (const [oldest, { chars }] of remembered) {
        if (held <= maxChars) return;
        if (chars === 0) continue; // still being read
        remembered.delete(oldest);
        held -= chars;
      }
    });
    return entry.text;
  };
}
