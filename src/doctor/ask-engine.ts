/** How the doctor asks an engine: one small request, its status and its text. Tests answer with recordings. */
import type { JsonObject } from "../conversation/request.ts";
import type { EngineAddress } from "../engine/engine-address.ts";
import { readErrorText } from "../engine/error-body.ts";
import { cleanEngineText } from "../engine/engine-text.ts";
import type { Upstream } from "../engine/upstream.ts";

export type EngineReply = { readonly status: number; readonly text: string };

/** POSTs a body where there is one, else GETs. Rejects with a `GatewayError` where no answer comes. */
export type AskEngine = (path: string, body?: JsonObject) => Promise<EngineReply>;

/** An engine that takes longer for a few dozen tokens keeps an agent waiting as well. */
const TIMEOUT_MS = 120_000;

/** `onAsk` is told of each request before it goes out. */
export function createAsker(upstream: Upstream, engine: EngineAddress, onAsk: () => void): AskEngine {
  return async (path, body) => {
    onAsk();
    const limits = { path, timeoutMs: TIMEOUT_MS, requestId: "evener-doctor" };
    return upstream.request(
      engine,
      body === undefined ? { method: "GET", ...limits } : { method: "POST", body: JSON.stringify(body), ...limits },
    );
  };
}

/** The engine's own words of a refusal, on one line. */
export function wordsOf({ status, text }: EngineReply): string {
  const said = cleanEngineText(readErrorText(text).message);
  return said === "" ? `status ${status}` : `${status}: ${said}`;
}
