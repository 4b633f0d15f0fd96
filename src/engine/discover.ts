/** Finds engines on this machine: asks the ports that they listen on unless told otherwise. */
import type { EngineInfo } from "./engine-info.ts";
import { probeEngine } from "./probe.ts";
import type { Upstream } from "./upstream.ts";

/** vLLM, SGLang, llama.cpp, Ollama, LM Studio. */
const USUAL_PORTS = [8000, 30000, 8080, 11434, 1234];

/** For each question; loopback answers at once or not at all. */
const TIMEOUT_MS = 1_000;

export type Discovered = { address: { url: string }; info: EngineInfo };

/**
 * The engines that answer, in the order of the ports. Only servers that can be told for sure are taken: a server that merely
 * has a list of models may be another gateway, or this one.
 */
export async function discoverEngines(
  upstream: Upstream,
  ports: readonly number[] = USUAL_PORTS,
): Promise<Discovered[]> {
  const found = await Promise.all(
    ports.map(async (port) => {
      const address = { url: `http://127.0.0.1:${port}` };
      const info = await probeEngine(upstream, address, TIMEOUT_MS).catch(() => undefined);
      return info === undefined || info.kind === "openai-compatible" ? undefined : { address, info };
    }),
  );
  return found.filter((engine) => engine !== undefined);
}
