/** Runs a gateway from its configuration to its end: opens what it needs, listens, tells where it is, and stops in order. */
import type { Server } from "node:http";
import { registerAdminKeys } from "../admission/admin-keys.ts";
import { createKeyRing } from "../admission/key-ring.ts";
import { createKeyStore } from "../admission/key-store.ts";
import { localAdminKey, localClientKey } from "../admission/local-keys.ts";
import { type GatewaySecret, SecretError, bindSecret, loadSecret } from "../admission/secret.ts";
import { InFlight } from "../base/in-flight.ts";
import { removeGatewayFile, writeGatewayFile } from "../config/gateway-file.ts";
import type { Config } from "../config/schema.ts";
import { GatewayError } from "../conversation/errors.ts";
import { makeDataDir } from "../db/data-dir.ts";
import { type Store, openStore } from "../db/open-store.ts";
import { StoreError } from "../db/store-error.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { probeEngine } from "../engine/probe.ts";
import { createUpstream } from "../engine/upstream.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { createObserver } from "../gateway/observer.ts";
import { Concessions } from "../gateway/concessions.ts";
import { Repeats } from "../gateway/repeats.ts";
import { ChunkTemplates } from "../engine/chunk-template.ts";
import { SilenceWatch } from "../gateway/silence-watch.ts";
import { parseUsd } from "../ledger/money.ts";
import { openLedger } from "../ledger/open-ledger.ts";
import { EnginePool, type EngineAddress } from "../routing/engine-pool.ts";
import { KvAdmission } from "../routing/kv/kv-admission.ts";
import { ModelRegistry } from "../routing/model-registry.ts";
import { createPrefixGuard } from "../routing/prefix-guard/prefix-guard.ts";
import { createGatewayServer } from "../server.ts";
import { causeOf } from "../telemetry/cause-of.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createAnthropicMessages } from "../wire/anthropic-messages/codec.ts";
import { createSigner } from "../wire/anthropic-messages/signature.ts";
import { CliError } from "./cli-error.ts";
import { assertCanListen, listen } from "./listen.ts";
import { VERSION } from "./version.ts";

export type RunOptions = {
  config: Config;
  dataDir: string;
  engines: readonly EngineAddress[];
  log: Logger;
  /** Whether to leave a client key in the data directory, for `evener claude` on this machine. */
  clientKey: boolean;
  env: NodeJS.ProcessEnv;
};

export type RunningGateway = {
  url: string;
  gateway: Gateway;
  store: Store;
  /** Whether it left a key for clients on this machine. */
  clientKey: boolean;
  /** Stops taking requests, lets running ones end (at most `timeouts.drain_ms`), and closes everything. Safe to call twice. */
  close(): Promise<void>;
};

/** Throws CliError for whatever a person can mend: a used port, a locked directory, an unreachable database. */
export async function runGateway({
  config,
  dataDir,
  engines,
  log,
  clientKey,
  env,
}: RunOptions): Promise<RunningGateway> {
  const closers: (() => Promise<unknown> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    // A first start takes seconds to make its database, and would leave it behind.
    await assertCanListen(config);
    // Keys and the journal are in it, also where the store is not.
    makeDataDir(dataDir);
    const store = await openStore({ dataDir, databaseUrl: config.database_url });
    closers.push(() => store.close());
    const secret = loadSecret({ dataDir, value: env["EVENER_SECRET"] });
    await bindSecret(store, secret);
    const pepper = secret.derive("key pepper");
    const adminKey = adminKeyOf(env, dataDir);
    const adminKeys = await registerAdminKeys(store, pepper, [adminKey]);
    const keyRing = createKeyRing(createKeyStore(store), pepper);
    closers.push(() => keyRing.close());

    const metrics = createMetrics();
    const ledger = await openLedger(store, {
      dataDir,
      onProblem: (what, error) => log.error({ error: describe(error) }, what),
    });
    closers.push(() => ledger.close(config.timeouts.drain_ms));
    const { replayed, recovered } = ledger.recovered;
    if (replayed + recovered > 0) log.warn({ replayed, recovered }, "settled what an earlier process left behind");
    const upstream = createUpstream({ connectMs: config.timeouts.connect_ms });
    closers.push(() => upstream.close());
    const models = new ModelRegistry<EngineInfo>({
      families: config.families,
      aliases: config.aliases,
      models: config.models,
    });
    const observer = createObserver(log, metrics);
    const kv = new KvAdmission({
      waitMs: config.kv_admission.wait_ms,
      liveMs: config.kv_admission.live_ms,
      onEvicted: observer.evicted,
    });
    const answering: Gateway["answering"] = new InFlight();
    const pool = new EnginePool({
      engines,
      probe: (address) => probeEngine(upstream, address),
      intervalMs: config.timeouts.probe_ms,
      onChange(state) {
        models.update(pool.states);
        kv.learned(state.address.name, state.info?.kvTokens);
        metrics.engineUp(state.address.name, state.up);
        const found = { engine: state.address.name, models: state.info?.models.map((model) => model.id) };
        if (state.up) log.info(found, "engine is up");
        else {
          log.warn({ engine: state.address.name, problem: state.problem }, "engine is down");
          answering.forEach(({ running }) => running?.moveFrom(state));
        }
      },
    });
    closers.push(() => pool.stop());
    await pool.start();
    models.update(pool.states);

    const { signer, anthropicMessages } = anthropicWire(secret, models);
    const gateway: Gateway = {
      config,
      keys: keyRing,
      models,
      engines: pool,
      upstream,
      timeouts: {
        connectMs: config.timeouts.connect_ms,
        firstByteMs: config.timeouts.first_byte_ms,
        idleMs: config.timeouts.idle_ms,
        totalMs: config.timeouts.total_ms,
      },
      ledger,
      silence: new SilenceWatch(config.timeouts.ping_ms),
      repeats: new Repeats(),
      concessions: new Concessions((model) => config.models[model]?.recover_tool_calls !== false),
      kv,
      prefixGuard: createPrefixGuard(),
      templates: new ChunkTemplates(),
      observer,
      signReasoning: signer.sign,
      answering,
      draining: false,
    };
    metrics.watchLedger(() => ledger.status);
    metrics.watchKv(() => kv.status);
    metrics.watchInFlight(() => gateway.answering.size);
    const onFault = (error: GatewayError, requestId: string): void =>
      log.error({ requestId, code: error.code, cause: causeOf(error) }, "the admin API failed");
    const server = createGatewayServer({
      gateway,
      anthropicMessages,
      admin: {
        store,
        keyRing,
        adminKeys,
        pepper,
        onMoneyChanged: (what) => ledger.changed(what),
        unknownSince: (tenantId) => ledger.unknownSince(tenantId),
        engineCosts: engineCosts(config),
        issuer: { name: config.invoices.issuer, lines: config.invoices.address },
        onFault,
      },
      metrics: () => metrics.exposition(),
    });
    const url = await listen(server, config);
    closers.push(() => drain(server, gateway, config.timeouts.drain_ms));

    const localKey = clientKey ? await localClientKey({ store, pepper, keyRing, dataDir }, "gateway") : undefined;
    writeGatewayFile(dataDir, {
      url,
      pid: process.pid,
      admin_key: adminKey.secret,
      ...(localKey !== undefined && { client_key: localKey }),
      started_at: new Date().toISOString(),
      version: VERSION,
    });
    closers.push(() => removeGatewayFile(dataDir, process.pid));
    return { url, gateway, store, clientKey: localKey !== undefined, close: closeAll };
  } catch (thrown) {
    await closeAll();
    if (thrown instanceof StoreError || thrown instanceof SecretError) throw new CliError(thrown.message, 1, thrown);
    throw thrown;
  }
}

/** `name` says where it came from. */
function adminKeyOf(env: NodeJS.ProcessEnv, dataDir: string): { name: string; secret: string } {
  const given = env["EVENER_ADMIN_KEY"] || undefined;
  return given === undefined
    ? { name: "evener up", secret: localAdminKey(dataDir) }
    : { name: "EVENER_ADMIN_KEY", secret: given };
}

/** By the name that usage rows carry. */
function engineCosts(config: Config): Map<string, bigint> {
  const costs = new Map<string, bigint>();
  for (const { name, url, cost_per_hour: cost } of config.engines)
    if (cost !== undefined) costs.set(name ?? new URL(url).host, parseUsd(cost));
  return costs;
}

function anthropicWire(secret: GatewaySecret, models: Pick<Gateway["models"], "resolve">) {
  const signer = createSigner(secret.derive("reasoning signature"));
  const anthropicMessages = createAnthropicMessages({
    // Aliases of one model are one model.
    verifySignature: (text, signature, name) => signer.verify(text, signature, models.resolve(name)?.id ?? name),
  });
  return { signer, anthropicMessages };
}

/** How long an answer that is ended here has to be settled, and its client to read why. */
const LAST_WORDS_MS = 2_000;

/** Refuses new requests, waits for running ones, ends what is left with an error that says so, and closes all connections. */
async function drain(server: Server, gateway: Gateway, patienceMs: number): Promise<void> {
  gateway.draining = true;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await answered(gateway, patienceMs);
  const error = new GatewayError(
    "shutting_down",
    "the gateway was stopped before the answer's end; send the request again",
  );
  gateway.answering.forEach((request) => request.stop(error));
  await answered(gateway, LAST_WORDS_MS);
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), Math.min(1_000, patienceMs));
  await closed;
  clearTimeout(cut);
}

/** Resolves when no request is being answered any more, or patience is over. */
async function answered({ answering }: Gateway, patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (answering.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
