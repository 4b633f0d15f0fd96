/** Knows where each harness says which session and agent a request belongs to. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { JsonObject, SessionIdentity } from "../../conversation/request.ts";
import { isObject } from "./fields.ts";

/** Ids are stored and shown: longer ones, and ones with anything but visible ASCII, are not taken. */
const USABLE_ID = /^[\x21-\x7e]{1,200}$/;

/** Never refuses a request: an identity that cannot be read is no identity. */
export function decodeIdentity(body: JsonObject, headers: RequestHeaders): SessionIdentity {
  const identity: SessionIdentity = {};
  const session =
    header(headers, "x-claude-code-session-id") ??
    sessionOfMetadata(body["metadata"]) ??
    header(headers, "x-session-id") ??
    header(headers, "x-session-affinity");
  if (session !== undefined) identity.session = session;
  const agent = header(headers, "x-claude-code-agent-id");
  if (agent !== undefined) identity.agent = agent;
  const parentAgent = header(headers, "x-claude-code-parent-agent-id");
  if (parentAgent !== undefined) identity.parentAgent = parentAgent;
  return identity;
}

/** Claude Code sends `user_id` as JSON text with `session_id` in it; before 2.1 as `user_…_session_<uuid>`. */
function sessionOfMetadata(metadata: unknown): string | undefined {
  const user = isObject(metadata) ? metadata["user_id"] : undefined;
  if (typeof user !== "string" || user.length > 4096) return undefined;
  if (!user.startsWith("{")) return usable(/_session_([\w-]+)$/.exec(user)?.[1]);
  try {
    const parsed: unknown = JSON.parse(user);
    return isObject(parsed) ? usable(parsed["session_id"]) : undefined;
  } catch {
    return undefined; // not JSON after all: an opaque id of somebody's own
  }
}

function header(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return usable(typeof value === "string" ? value : value?.[0]);
}

function usable(id: unknown): string | undefined {
  return typeof id === "string" && USABLE_ID.test(id) ? id : undefined;
}
