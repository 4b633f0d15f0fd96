/** Starts a simulated engine that ends with the test. */
import { onTestFinished } from "vitest";
import type { SimulatorOptions } from "../../src/simulator/options.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";

/** For use inside a test; in a hook, use `startSimulator` and close it in the hook's counterpart. */
export async function simulate(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator(options);
  onTestFinished(() => simulator.close());
  return simulator;
}
