/** Decides how a request is let in: for nothing, on a standing hold, on a hold of its own, or on what is known while the database is away. */
import type { SpendCap } from "../conversation/spend-cap.ts";
import { isoTime } from "../base/iso-time.ts";
import type { AdmittedTerms, KnownTerms } from "./known-terms.ts";
import type { ReserveRequest } from "./ledger-types.ts";
import type { HeldBy } from "./live-request.ts";
import { refusal, storeAway } from "./refusals.ts";
import { whole } from "./settle-item.ts";
import type { Share } from "./standing-hold.ts";
import type { StandingHolds } from "./standing-holds.ts";
import type { ReserveItem, ReserveResult } from "./statements.ts";
import { storableText, storableTextOrNull } from "./storable-text.ts";
import type { UsualOutput } from "./usual-output.ts";

export type Admitted = {
  heldBy: HeldBy;
  item: ReserveItem;
  terms: AdmittedTerms;
  cap: SpendCap | undefined;
  /** Of a standing hold; only with `standing`. */
  share: Share | undefined;
};

export type AdmitParts = {
  known: KnownTerms;
  standing: StandingHolds;
  usual: UsualOutput;
  /** Undefined: the database is away. */
  askStore: (item: ReserveItem) => Promise<ReserveResult | undefined>;
  /** Whether the database is known to be away. */
  away: () => boolean;
  /** A hold may or may not be there; nothing was sent to an engine. */
  release: (requestId: string) => void;
};

/** Throws GatewayError as `Ledger.reserve` rejects. */
export async function admit(request: ReserveRequest, parts: AdmitParts): Promise<Admitted> {
  const { known, standing, askStore } = parts;
  const { tenantId, keyId } = request;
  const free = known.free(tenantId, keyId, request.model);
  if (free !== undefined) {
    // What is free is not estimated, either.
    const item = reserveItem(request, 0, 0);
    // Clients are to be told how far they are also where the database is not asked.
    return { heldBy: "none", item, terms: free, cap: known.cap(tenantId, keyId), share: undefined };
  }
  const item = estimatedItem(request, parts.usual);
  const share = parts.away() ? undefined : standing.take(item);
  if (share !== undefined) return { heldBy: "standing", item, terms: share.terms, cap: share.cap, share };
  let result = await askStore(item);
  // What stands ready for this tenant's requests must not refuse one.
  if (result?.refused && (await standing.makeRoom(tenantId))) result = await askStore(item);
  if (result?.refused) throw refusal(result);
  if (result !== undefined) {
    standing.reserved(item, result);
    // Where nothing is charged no limit was looked at.
    return { heldBy: "store", item, terms: result, cap: result.cap ?? known.cap(tenantId, keyId), share: undefined };
  }
  const terms = known.admit(item);
  if (terms === undefined) {
    parts.release(item.request_id);
    throw storeAway();
  }
  return { heldBy: "known", item, terms, cap: known.cap(tenantId, keyId), share: undefined };
}

/** For the prompt as estimated, and for as much of an answer as is usual. */
export function estimatedItem(request: ReserveRequest, usual: UsualOutput): ReserveItem {
  return reserveItem(request, request.inputTokens(), usual.toHold(request.tenantId, request.model, request.maxOutput));
}

export function reserveItem(request: ReserveRequest, input: number, output: number): ReserveItem {
  return {
    request_id: request.requestId,
    tenant_id: request.tenantId,
    key_id: request.keyId,
    model: storableText(request.model),
    input: whole(input),
    output: whole(output),
    requested_model: storableText(request.requestedModel),
    wire: request.wire,
    streamed: request.streamed,
    session: storableTextOrNull(request.session),
    agent: storableTextOrNull(request.agent),
    started_at: isoTime(request.startedAt.getTime()),
  };
}
