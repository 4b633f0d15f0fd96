/** What a kill loop runs on: a store, a simulated engine and a built gateway with its tenants, in one temporary directory. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { placeEmptyDatabase } from "../empty-database.ts";
import { type MortalPostgres, startMortalPostgres } from "../postgres.ts";
import { type EngineProcess, startEngine } from "./engine-process.ts";
import { type GatewayProcess, gatewayProcess } from "./gateway-process.ts";
import { type Payers, makePayers } from "./payers.ts";

export type StoreKind = "pglite" | "postgres";

export type Stand = {
  engine: EngineProcess;
  gateway: GatewayProcess;
  payers: Payers;
  /** Absent where the store is the embedded one. */
  postgres: MortalPostgres | undefined;
  databaseUrl: string | undefined;
  /** Another gateway on the same database, as on another machine: it has a data directory of its own. */
  another(): GatewayProcess;
  close(): Promise<void>;
};

/** All of it is running. The build in dist/ must be there. */
export async function buildStand(store: StoreKind): Promise<Stand> {
  const directory = mkdtempSync(join(tmpdir(), "evener-kill-"));
  const postgres = store === "postgres" ? await startMortalPostgres() : undefined;
  const engine = await startEngine(directory);
  const databaseUrl = await postgres?.createDatabase();
  const common = { engineUrl: engine.url, secret: randomBytes(32).toString("hex"), databaseUrl };
  const gateways: GatewayProcess[] = [];
  const makeGateway = (name: string): GatewayProcess => {
    const made = gatewayProcess({ ...common, directory: join(directory, name) });
    gateways.push(made);
    return made;
  };
  const close = async (): Promise<void> => {
    for (const gateway of gateways) await gateway.stop();
    await engine.kill();
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    if (postgres === undefined) await placeEmptyDatabase(join(directory, "gateway", "data"));
    const gateway = makeGateway("gateway");
    await gateway.start();
    const payers = await makePayers(gateway);
    const another = (): GatewayProcess => makeGateway(`gateway-${gateways.length + 1}`);
    return { engine, gateway, payers, postgres, databaseUrl, another, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}
