/** Scripted texts cut into what each step of the engine adds. */
import type { ScriptedCall } from "./script.ts";
import { tokenTexts } from "./tokenizer.ts";

export type Piece = { text: string; tokens: number };

export function tokenPieces(text: string): Piece[] {
  return tokenTexts(text).map((piece) => ({ text: piece, tokens: 1 }));
}

/** A text in tokens; a list as it is. */
export function pieces(text: string | readonly string[] | undefined): Piece[] {
  if (text === undefined) return [];
  return typeof text === "string" ? tokenPieces(text) : text.map((piece) => ({ text: piece, tokens: 1 }));
}

/** `size` is the characters of a piece, where the script does not give the pieces. */
export function argumentPieces({ arguments: given }: ScriptedCall, size: number | undefined): Piece[] {
  if (Array.isArray(given)) return pieces(given as readonly string[]);
  const text = typeof given === "string" ? given : JSON.stringify(given);
  return size === undefined ? tokenPieces(text) : slices(text, size);
}

export function joined(list: readonly Piece[]): string {
  return list.map(({ text }) => text).join("");
}

function slices(text: string, size: number): Piece[] {
  const result: Piece[] = [];
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = wholeCharacters(text, Math.min(text.length, start + size));
    if (end === start) end += 2;
    const piece = text.slice(start, end);
    result.push({ text: piece, tokens: tokenTexts(piece).length });
  }
  return result;
}

/** Backs up from the middle of a surrogate pair. */
export function wholeCharacters(text: string, end: number): number {
  const code = end > 0 && end < text.length ? text.charCodeAt(end - 1) : 0;
  return code >= 0xd800 && code < 0xdc00 ? end - 1 : end;
}
