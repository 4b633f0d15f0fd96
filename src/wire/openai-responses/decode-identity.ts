/** Finds out which session and agent a Responses request belongs to, from what Codex and others send. */
import type { RequestHeaders } from "../../conversation/codec.ts";
import type { JsonObject, SessionIdentity } from "../../conversation/request.ts";
import { decodeIdentity as decodeChatIdentity, firstHeader } from "../openai-chat/identity.ts";

/** Codex names the session, and the thread of one agent within it; the main agent's thread is the session itself. */
export function decodeIdentity(body: JsonObject, headers: RequestHeaders): SessionIdentity {
  const identity = decodeChatIdentity(body, headers);
  const thread = firstHeader(headers, ["thread-id", "thread_id"]);
  if (thread === undefined) return identity;
  identity.session ??= thread;
  if (thread !== identity.session) identity.agent ??= thread;
  return identity;
}
