/** What gateway-level tests of money stand on: one simulated engine, and built gateways before it that share a store. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SimulatorOptions } from "../../src/simulator/options.ts";
import type { RecordedRequest } from "../../src/simulator/record.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "./evener.ts";
import { send } from "./http.ts";
import { type Payers, payersOf } from "./payers.ts";
import { postgresAvailable, startMortalPostgres, startPostgres } from "./postgres.ts";
import type { UsageRow } from "./usage.ts";
import { waitUntil } from "./wait-until.ts";

export const GATEWAY_STORES = (["pglite", "postgres"] as const).filter(
  (store) => store === "pglite" || postgresAvailable(),
);
export type GatewayStore = (typeof GATEWAY_STORES)[number];

export type MoneyStand = {
  readonly simulator: Simulator;
  /** More than one only on Postgres: the embedded store has one process. */
  readonly gateways: readonly [RunningEvener, ...RunningEvener[]];
  readonly payers: Payers;
  /** Of a tenant, oldest first, once there are so many. */
  rows(tenant: string, atLeast: number): Promise<UsageRow[]>;
  /** What the engine knows of a request, by the gateway's id of it. */
  served(requestId: string): RecordedRequest | undefined;
  stop(): Promise<void>;
};

export async function startMoneyStand(
  store: GatewayStore,
  options: {
    gateways?: number;
    simulator?: SimulatorOptions;
    /** The environments in which Postgres and the gateways find another time than this process. */
    clock?: { database: Record<string, string>; gateway: Record<string, string> };
  } = {},
): Promise<MoneyStand> {
  const closers: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), "evener-money-stand-"));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const simulator = await startSimulator({ model: "test-model", keepRequests: 20_000, ...options.simulator });
    closers.push(() => simulator.close());
    const config = join(folder, "evener.yaml");
    // A client that is shown nothing yet soon has a head all the same.
    writeFileSync(config, JSON.stringify({ timeouts: { ping_ms: 200 } }));
    // Gateways of one database share the secret of its keys.
    const env: Record<string, string> = {
      EVENER_CONFIG: config,
      EVENER_SECRET: "a secret that these gateways share, as they must",
      ...options.clock?.gateway,
    };
    if (store === "postgres") {
      const { clock } = options;
      const postgres = await (clock === undefined ? startPostgres() : startMortalPostgres(clock.database));
      closers.push(() => postgres.stop());
      env["DATABASE_URL"] = await postgres.createDatabase();
    }
    const start = async (index: number): Promise<RunningEvener> => {
      const dataDir = join(folder, `data-${index}`);
      const evener = await startEvener({ engines: [simulator.url], env, dataDir });
      closers.push(() => evener.stop());
      return evener;
    };
    const first = await start(0);
    const gateways: [RunningEvener, ...RunningEvener[]] = [first];
    for (let index = 1; index < (options.gateways ?? 1); index++) gateways.push(await start(index));

    const rowsOf = async (tenant: string): Promise<UsageRow[]> => {
      const url = `${first.url}/admin/v1/usage?by=request&limit=5000&tenant=${tenant}`;
      const { status, text } = await send(url, {
        method: "GET",
        headers: { authorization: `Bearer ${first.adminKey}` },
      });
      if (status !== 200) throw new Error(`the admin API answered ${status}: ${text}`);
      return (JSON.parse(text) as { data: UsageRow[] }).data;
    };
    return {
      simulator,
      gateways,
      payers: payersOf(first),
      async rows(tenant, atLeast) {
        let rows: UsageRow[] = [];
        await waitUntil(`${atLeast} rows of ${tenant}`, async () => (rows = await rowsOf(tenant)).length >= atLeast);
        return rows;
      },
      served: (requestId) => simulator.requests.find(({ headers }) => headers["x-request-id"] === requestId),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
