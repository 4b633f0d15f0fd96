import type { EngineInfo, EngineState } from "../engine-pool.ts";
import { newSilence } from "../replica-silence.ts";

/** A replica that is up, and that nobody has asked yet, but for what is given. */
export function replicaOf<Info extends EngineInfo = EngineInfo>(
  name: string,
  given: Partial<Omit<EngineState<Info>, "address">> = {},
): EngineState<Info> {
  return {
    address: { name, url: `http://${name}` },
    info: undefined,
    up: true,
    problem: undefined,
    inFlight: 0,
    silence: newSilence(),
    ...given,
  };
}
