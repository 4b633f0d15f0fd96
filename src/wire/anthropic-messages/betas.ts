/** Knows which `anthropic-beta` values are understood or harmless, so that only the others are reported as ignored. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { IgnoredList } from "./ignored.ts";

/** Families without their date: what a beta asks for stays the same when its date moves. */
const UNDERSTOOD = new Set([
  "claude-code",
  "oauth",
  "interleaved-thinking",
  "dev-full-thinking",
  "redact-thinking",
  "thinking-token-count",
  "thinking-display-updates",
  "context-management",
  "context-1m",
  "prompt-caching",
  "prompt-caching-scope",
  "extended-cache-ttl",
  "mid-conversation-system",
  "mid-conversation-system-clear-at",
  "mid-conversation-tool-changes",
  "mid-conversation-output-config",
  "inline-tools",
  "effort",
  "structured-outputs",
  "advanced-tool-use",
  "tool-search-tool",
  "tool-examples",
  "fine-grained-tool-streaming",
  "token-efficient-tools",
  "token-counting",
  "output-128k",
  "output-300k",
  "max-tokens-3-5-sonnet",
  "model-context-window-exceeded",
  "pdfs",
  "search-results",
  "message-batches",
  "memory-tool",
]);

export function noteUnknownBetas(headers: RequestHeaders, ignored: IgnoredList): void {
  const header = headers["anthropic-beta"];
  if (header === undefined) return;
  for (const value of (typeof header === "string" ? header : header.join(",")).split(",")) {
    const beta = value.trim();
    if (beta !== "" && !UNDERSTOOD.has(withoutDate(beta))) ignored.note("beta", beta);
  }
}

/** `effort-2025-11-24` and `claude-code-20250219` without their dates. */
function withoutDate(beta: string): string {
  return beta.replace(/-\d{4}-?\d{2}-?\d{2}$/, "");
}
