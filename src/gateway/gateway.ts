/** What a request needs of the gateway: its parts, put together once at start (see open-gateway.ts). */
import type { KeyRing } from "../admission/key-ring.ts";
import type { InFlight, Placed } from "../base/in-flight.ts";
import type { ByteText } from "../conversation/byte-text.ts";
import type { Config } from "../config/schema.ts";
import type { GatewayError } from "../conversation/errors.ts";
import type { ChunkTemplates } from "../engine/chunk-template.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { EngineTimeouts, Upstream } from "../engine/upstream.ts";
import type { Ledger } from "../ledger/ledger-types.ts";
import type { EnginePool } from "../routing/engine-pool.ts";
import type { KvAdmission } from "../routing/kv/kv-admission.ts";
import type { ModelRegistry } from "../routing/model-registry.ts";
import type { PrefixGuard } from "../routing/prefix-guard/prefix-guard.ts";
import type { Concessions } from "./concessions.ts";
import type { Exchange } from "./exchange.ts";
import type { Observer } from "./observer.ts";
import type { Repeats } from "./repeats.ts";
import type { SilenceWatch } from "./silence-watch.ts";

export type Answering = Placed & {
  /** Once an engine is asked. */
  running: Exchange<EngineInfo> | undefined;
  /** Ends the request with this error, wherever it is. */
  stop(error: GatewayError): void;
};

export type Gateway = {
  readonly config: Config;
  readonly keys: KeyRing;
  readonly models: ModelRegistry<EngineInfo>;
  readonly engines: EnginePool<EngineInfo>;
  readonly upstream: Upstream;
  readonly timeouts: EngineTimeouts;
  readonly ledger: Ledger;
  readonly silence: SilenceWatch;
  readonly repeats: Repeats;
  readonly concessions: Concessions;
  readonly kv: KvAdmission;
  readonly prefixGuard: PrefixGuard;
  readonly templates: ChunkTemplates;
  readonly observer: Observer;
  /** Signs reasoning on its way out. */
  readonly signReasoning: (text: ByteText, model: string) => string;
  /** Requests from their head to the end of their answer; the gateway stops once there are none. */
  readonly answering: InFlight<Answering>;
  /** Set when the gateway is stopping: no new requests. */
  draining: boolean;
};
