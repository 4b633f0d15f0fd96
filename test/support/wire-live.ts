/** A request whose answer can be looked at while it comes: what tests of early bytes wait for, instead of for time. */
import type { RunningEvener } from "./evener.ts";
import { type RawRequest, send } from "./simulator.ts";
import { PATHS, type WireName, ask } from "./wire-gateway.ts";
import { waitUntil } from "./wait-until.ts";

export type Live = RawRequest & {
  /** Resolves once this has been received. */
  saw(text: string | RegExp): Promise<void>;
};

export function startLive(evener: RunningEvener, wire: WireName, more: object = {}): Live {
  const options = wire === "openai" ? { stream_options: { include_usage: true } } : {};
  const sent = send(evener.url + PATHS[wire], {
    body: ask({ stream: true, ...options, ...more }),
    headers: { authorization: `Bearer ${evener.key}` },
  });
  return {
    ...sent,
    saw: (text) =>
      waitUntil(`${text} at the client`, () => {
        const got = sent.received().text;
        return typeof text === "string" ? got.includes(text) : text.test(got);
      }),
  };
}
