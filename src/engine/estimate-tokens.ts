/** Estimates a prompt's tokens from its JSON, for engines that have no tokenizer to ask. */

/** Bytes of ASCII a token; docs/engines.md has the measurements it comes from. Low, so that estimates are rather too high. */
const ASCII_BYTES_A_TOKEN = 3.4;
/** Characters outside ASCII a token: Chinese and Japanese are near 1.5, emoji below 1. */
const OTHER_CHARS_A_TOKEN = 1.3;
/** Role marks and ends of turn, by message. */
const TOKENS_A_MESSAGE = 4;
/** An image of a megapixel, about, for the vision models in use. */
const TOKENS_AN_IMAGE = 1_500;

const IMAGE_DATA = /"data:[\w.+-]+\/[\w.+-]+;base64,[A-Za-z0-9+/=]*"/g;

/** `body` is the JSON of a chat request. */
export function estimateTokens(body: string): number {
  let images = 0;
  const text = body.includes(";base64,") ? body.replace(IMAGE_DATA, () => (images++, "")) : body;
  let messages = 0;
  for (let at = text.indexOf('"role":'); at >= 0; at = text.indexOf('"role":', at + 7)) messages++;
  const bytes = Buffer.byteLength(text, "utf8");
  // Every UTF-16 unit outside ASCII takes two (Latin, Greek, Cyrillic …) or three bytes instead of one.
  const others = (bytes - text.length) / 1.8;
  const ascii = text.length - others;
  return Math.ceil(
    ascii / ASCII_BYTES_A_TOKEN + others / OTHER_CHARS_A_TOKEN + messages * TOKENS_A_MESSAGE + images * TOKENS_AN_IMAGE,
  );
}
