/**
 * Knows the attribution line that Claude Code puts before its system prompt. It names the client's build and differs
 * between sessions (in older versions between turns), so left in place it ends prefix reuse at the first token.
 */

const MARK = "x-anthropic-billing-header:";

/** The text without a leading attribution line; empty when there was nothing else. */
export function stripAttribution(text: string): string {
  if (!text.startsWith(MARK)) return text;
  const end = text.indexOf("\n");
  return end === -1 ? "" : text.slice(end + 1).replace(/^\n+/, "");
}
