/** Knows the variables that would take Claude Code somewhere else than to the gateway, or bring it there with a wrong key. */
import type { Environment } from "./claude-code-variables.ts";

export type Conflict = { name: string; why: string };

/** Left out of the client's environment; the user's shell keeps them. */
export const CONFLICTS: readonly Conflict[] = [
  { name: "ANTHROPIC_API_KEY", why: "Sent beside the token; two different credentials are refused with 400." },
  { name: "CLAUDE_CODE_OAUTH_TOKEN", why: "A login at the maker's; it must not reach the gateway." },
  { name: "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", why: "Another credential." },
  { name: "CLAUDE_CODE_API_BASE_URL", why: "Another address for some of the requests." },
  { name: "ANTHROPIC_UNIX_SOCKET", why: "Goes around the base URL." },
  { name: "ANTHROPIC_SMALL_FAST_MODEL", why: "The older name of the haiku model; a name that is not served fails." },
  { name: "CLAUDE_CODE_USE_BEDROCK", why: "Another provider: the base URL is then ignored." },
  { name: "CLAUDE_CODE_USE_VERTEX", why: "As above." },
  { name: "CLAUDE_CODE_USE_FOUNDRY", why: "As above." },
  { name: "CLAUDE_CODE_USE_MANTLE", why: "As above." },
  { name: "CLAUDE_CODE_USE_GATEWAY", why: "As above." },
  { name: "CLAUDE_CODE_USE_ANTHROPIC_AWS", why: "As above." },
  { name: "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD", why: "As above." },
];

/** The conflicting variables that are set to something, in the table's order. */
export function conflictsIn(environment: Environment): string[] {
  return CONFLICTS.map((conflict) => conflict.name).filter((name) => (environment[name] ?? "") !== "");
}
