/**
 * Carries reasoning text in a reasoning item's `encrypted_content`.
 *
 * Codex sends reasoning back without its text and keeps only this field; without the text, a model that reasons between
 * tool calls starts anew at each. Despite OpenAI's name for the field nothing in it is secret: the client has just read
 * the same text. See decisions/0102-reasoning-in-encrypted-content.md.
 */
const PREFIX = "evener-reasoning-1:";

/** From the bytes of the text (latin1), as streams hold them; the result is ASCII. */
export function packReasoning(bytes: string): string {
  return PREFIX + Buffer.from(bytes, "latin1").toString("base64url");
}

/** Undefined for what this gateway did not write. */
export function unpackReasoning(content: unknown): string | undefined {
  if (typeof content !== "string" || !content.startsWith(PREFIX)) return undefined;
  return Buffer.from(content.slice(PREFIX.length), "base64url").toString("utf8");
}
