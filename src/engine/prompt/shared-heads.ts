/**
 * Splits system text into what all sessions of a client share and what names this one: directory, memory path, git status.
 *
 * Claude Code writes the latter into the middle of its system prompt, before the tools in most templates, so that a session
 * in another directory reuses 2-6 % of the cache on its first request. Told apart, and the second part given with the first
 * user message instead, it reuses most of it. That lowers the authority of the text moved: an option of the profile, off
 * unless a model was judged with it. Text in which nothing is recognised is left alone.
 */
import { joinTexts } from "./engine-message.ts";

/** Headings of the sections that differ between sessions, in the versions of Claude Code since 2.0. */
const SECTIONS = new Set(["environment", "memory", "auto memory", "scratchpad directory"]);
const GIT_STATUS = "gitStatus:";

export function splitHead(text: string): { shared: string; own: string } {
  let shared = "";
  let own = "";
  for (const { session, block } of blocks(text)) {
    if (session) own = joinTexts(own, block.trim());
    else shared = joinTexts(shared, block.trim());
  }
  return own === "" ? { shared: text, own } : { shared, own };
}

/**
 * The text in runs of lines, each of the session or not. A run of the session goes from a heading of `SECTIONS` to the next
 * heading, from `gitStatus:` to the same or the end, from `<env>` to `</env>` (subagents and OpenCode). A heading inside a
 * code fence is none.
 */
function blocks(text: string): { session: boolean; block: string }[] {
  const found: { session: boolean; block: string }[] = [];
  let start = 0;
  let session = false;
  let fenced = false;
  let inTag = false;
  const cut = (at: number, next: boolean): void => {
    if (next === session) return;
    if (at > start) found.push({ session, block: text.slice(start, at) });
    [start, session] = [at, next];
  };
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf("\n", at);
    const end = newline === -1 ? text.length : newline + 1;
    const line = text.slice(at, end).trimEnd();
    if (line.startsWith("```")) fenced = !fenced;
    else if (inTag) {
      if (line === "</env>") {
        cut(end, false);
        inTag = false;
      }
    } else if (!fenced) {
      if (line === "<env>") {
        cut(at, true);
        inTag = true;
      } else if (line.startsWith("# ")) cut(at, SECTIONS.has(line.slice(2).trim().toLowerCase()));
      else if (line.startsWith(GIT_STATUS)) cut(at, true);
    }
    at = end;
  }
  found.push({ session, block: text.slice(start) });
  return found;
}
