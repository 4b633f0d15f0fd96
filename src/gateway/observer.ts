/** Who is told what happens to requests: metrics and logs. Never given a prompt, an answer or a key. */
import type { Principal } from "../admission/key-ring.ts";
import type { GatewayError } from "../conversation/errors.ts";
import type { UsageRow } from "../ledger/usage-row.ts";

export type Observer = {
  /** A request has ended, and this is its usage row. */
  settled(row: UsageRow, principal: Principal, error: GatewayError | undefined): void;
  /** A request was refused before it had a row. */
  refused(requestId: string, wire: string, error: GatewayError): void;
  /** A usage row could not be made durable in time. */
  recordFailed(requestId: string, error: unknown): void;
  /** An attempt on an engine failed; the client may have seen nothing of it. */
  attemptFailed(requestId: string, engine: string, error: GatewayError): void;
  /** What was accepted without effect, as `where:name`. */
  ignored(wire: string, ignored: readonly string[]): void;
};
