/** Load for the kill loops: clients of several tenants side by side, on both wires, streaming and not, of which some hang up. */
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type Ask, type Told, ask } from "./client.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import type { Payers } from "./payers.ts";
import type { Random } from "./random.ts";

export type Load = {
  /** What has ended so far. */
  readonly told: readonly Told[];
  /** Asks nothing more; resolves when all that was asked has ended. */
  stop(): Promise<readonly Told[]>;
};

const CLIENTS = 12;
/** Some prompts are in the engine's cache, some are not. */
const SYSTEMS = ["You are terse. ".repeat(40), "You are kind. ".repeat(10), "Be brief."] as const;

export function startLoad(gateway: GatewayProcess, payers: Payers, random: Random): Load {
  const told: Told[] = [];
  let stopping = false;
  const client = async (own: Random): Promise<void> => {
    while (!stopping) {
      const one = await ask(planned(gateway.url, payers, own));
      told.push(one);
      // Who is refused does not come back at once.
      if (one.status !== 200) await setTimeout(20);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, () => client(random.fork())));
  return {
    told,
    async stop() {
      stopping = true;
      await clients;
      return told;
    },
  };
}

function planned(url: string, payers: Payers, random: Random): Ask {
  const long = random.chance(0.5);
  return {
    url,
    payer: random.pick(payers),
    mark: randomUUID(),
    wire: random.pick(["messages", "chat"]),
    streamed: random.chance(0.75),
    tokens: long ? random.whole(80, 250) : random.whole(1, 20),
    delayMs: random.whole(4, 10),
    system: random.pick(SYSTEMS),
    leavesAfterMs: random.chance(0.2) ? random.whole(1, 1_200) : undefined,
  };
}
