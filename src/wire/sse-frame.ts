/** Knows how one server-sent event is written on the wire. `data` must be a single line, as JSON without indentation is. */
import { type ByteText, asByteText } from "../conversation/byte-text.ts";

/** An event with a name, as Anthropic's clients expect: `event:` and `data:` lines. */
export function namedFrame(event: string, data: string): ByteText {
  return asByteText(`event: ${event}\ndata: ${data}\n\n`);
}

/** An event without a name, as OpenAI's clients expect. */
export function dataFrame(data: string): ByteText {
  return asByteText(`data: ${data}\n\n`);
}

/** A JSON string of proper text, as bytes. */
export function jsonText(text: string): ByteText {
  const json = JSON.stringify(text);
  return asByteText(isAscii(json) ? json : Buffer.from(json, "utf8").toString("latin1"));
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}
