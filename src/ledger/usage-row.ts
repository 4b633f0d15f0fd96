/** One request as it is metered: the row that `usage_event` holds. */
import type { ErrorCode } from "../conversation/errors.ts";
import type { Usage } from "../conversation/usage.ts";

/**
 * `ok`: the answer came to its end. `client_gone`: the client left and the engine was stopped. `engine_died`: the engine's answer
 * broke off. `recovered`: settled after the gateway itself died. `error`: refused or failed otherwise.
 */
export type Outcome = "ok" | "client_gone" | "engine_died" | "recovered" | "error";

export type UsageRow = {
  /** The gateway's own id of the request: two rows with the same one are the same request. */
  requestId: string;
  tenantId: string;
  keyId: string;
  /** Served name: which model answered. */
  model: string;
  /** The name that the client asked for. */
  requestedModel: string;
  /** The API that the client speaks, as in `anthropic-messages`, `openai-chat`. */
  wire: string;
  streamed: boolean;
  /** The client's own session and subagent ids, where it sends them. */
  session: string | null;
  agent: string | null;
  usage: Usage;
  /** `checkpoint`: the last running count before the gateway died. */
  countedBy: "engine" | "gateway" | "checkpoint";
  outcome: Outcome;
  finishReason: string | null;
  errorCode: ErrorCode | null;
  /** Base URL or name of the replica that answered; null when none was reached. */
  engine: string | null;
  startedAt: Date;
  /** Milliseconds from the start; null when no token came. */
  firstTokenMs: number | null;
  durationMs: number;
  /** Request id of an earlier request that this one repeats word for word: a client sends it all again after a broken stream. */
  repeatOf: string | null;
  /** Where and why the prompt did not begin with the session's last one, as in `message 12 (tool): message-edited`. */
  prefixBreak: string | null;
};
