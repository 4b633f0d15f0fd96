/** The seat of a request among the conversations of the engine that is to answer it. */
import { guessTokens } from "../engine/estimate-tokens.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { EngineState } from "../routing/engine-pool.ts";
import type { KvSeat, KvWaiting } from "../routing/kv/kv-admission.ts";
import type { Gateway } from "./gateway.ts";
import type { Metered } from "./meter.ts";

/** Shorter requests need no seat, and are no turn of their session's conversation: titles, searches, checks of a quota. Bytes. */
const SMALL = 8_000;

/** Undefined where no account is kept, as of a request without a session. */
export function kvSeat(
  gateway: Pick<Gateway, "kv">,
  { principal, request }: Pick<Metered, "principal" | "request">,
  engine: EngineState<EngineInfo>,
  body: string,
): KvSeat | KvWaiting | undefined {
  const { session, agent } = request.identity;
  if (session === undefined || body.length < SMALL) return undefined;
  return gateway.kv.enter(engine.address.name, { tenant: principal.tenantId, session, agent }, () => guessTokens(body));
}
