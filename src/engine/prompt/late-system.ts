/**
 * Folds a system message that stands inside the conversation into the message before it.
 *
 * Claude Code adds one almost every turn. Hoisted to the head (as vLLM's own Anthropic endpoint does for templates that
 * refuse them) it changes the beginning of the prompt: 13 % of it was reused instead of 99 %. As a user message of its
 * own it makes templates that drop reasoning before the last user query drop more of it (89 %). Folded into the message
 * *after* it, it would move when that message comes.
 */
const OPEN = "<system-reminder>";
const CLOSE = "</system-reminder>";

/** The text in the tags that Claude Code itself uses for what the user did not write; wrapped once. */
export function asReminder(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  if (trimmed.startsWith(OPEN) && trimmed.endsWith(CLOSE)) return trimmed;
  return `${OPEN}\n${trimmed}\n${CLOSE}`;
}
