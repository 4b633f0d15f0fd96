/** Finds out which session and agent a request belongs to, from the headers that OpenAI-speaking clients send. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { JsonObject, SessionIdentity } from "../../conversation/request.ts";

/** Most specific first. OpenCode sends both `x-session-*`, Codex the last two. */
const SESSION_HEADERS = ["x-claude-code-session-id", "x-session-id", "x-session-affinity", "session_id", "session-id"];
const LONGEST = 256;

export function decodeIdentity(body: JsonObject, headers: RequestHeaders): SessionIdentity {
  const identity: SessionIdentity = {};
  const session = firstHeader(headers, SESSION_HEADERS) ?? plainId(body["prompt_cache_key"]);
  if (session !== undefined) identity.session = session;
  const agent = firstHeader(headers, ["x-claude-code-agent-id"]);
  if (agent !== undefined) identity.agent = agent;
  const parent = firstHeader(headers, ["x-claude-code-parent-agent-id"]);
  if (parent !== undefined) identity.parentAgent = parent;
  return identity;
}

export function firstHeader(headers: RequestHeaders, names: string[]): string | undefined {
  for (const name of names) {
    const value = headers[name];
    const id = plainId(Array.isArray(value) ? value[0] : value);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** An id ends in a database column and in logs: what is too long for one, or holds control characters, is no id. */
function plainId(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "" || value.length > LONGEST) return undefined;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return undefined;
  }
  return value.isWellFormed() ? value : undefined;
}
