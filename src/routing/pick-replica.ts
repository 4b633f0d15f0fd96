/**
 * Which replica gets a request: the one that has the conversation's prefix cached. Rendezvous hashing over the session, so
 * that every gateway picks alike without talking, with the load bounded so that one busy session group cannot pile up.
 */
import { createHash } from "node:crypto";
import type { EngineInfo, EngineState } from "./engine-pool.ts";
import { isResting } from "./replica-silence.ts";

/** A replica takes at most this many times the average load before the next in order is asked. */
const LOAD_BOUND = 1.25;

/** What keeps a conversation on its replica: tenants choose their own session ids, and share nothing. Undefined without a session. */
export function affinityOf(tenantId: string, session: string | undefined): string | undefined {
  return session === undefined ? undefined : `${tenantId}/${session}`;
}

/**
 * The replicas in the order in which to try them. Those that keep silent come behind all that answer, and those that are down last, not
 * never: what is known of them may be old. Without an affinity key the least loaded comes first.
 */
export function replicaOrder<Info extends EngineInfo>(
  replicas: readonly EngineState<Info>[],
  affinity: string | undefined,
): EngineState<Info>[] {
  if (replicas.length === 1) return [...replicas];
  const scored = replicas.map((state) => ({
    state,
    score: affinity === undefined ? 0n : weight(affinity, state.address.name),
  }));
  scored.sort((a, b) =>
    affinity === undefined ? a.state.inFlight - b.state.inFlight : a.score < b.score ? 1 : a.score > b.score ? -1 : 0,
  );
  const ordered = scored.map(({ state }) => state);
  const up = ordered.filter((state) => state.up && !isResting(state.silence));
  const load = up.reduce((sum, state) => sum + state.inFlight, 0);
  const bound = Math.ceil(((load + 1) / Math.max(1, up.length)) * LOAD_BOUND);
  const free = up.filter((state) => state.inFlight < bound);
  const full = up.filter((state) => state.inFlight >= bound);
  const resting = ordered.filter((state) => state.up && !up.includes(state));
  return [...free, ...full, ...resting, ...ordered.filter((state) => !state.up)];
}

/** The same with those first that answer and are of this kind: a body made for one kind of engine is not quite another's. */
export function sameKindFirst<Info extends EngineInfo>(
  order: readonly EngineState<Info>[],
  kind: string | undefined,
): EngineState<Info>[] {
  const isSame = (state: EngineState<Info>): boolean =>
    state.up && !isResting(state.silence) && state.info?.kind === kind;
  return [...order.filter(isSame), ...order.filter((state) => !isSame(state))];
}

function weight(affinity: string, name: string): bigint {
  return createHash("sha256").update(affinity).update("\0").update(name).digest().readBigUInt64BE();
}
