/** The model that is looked at, and the engine that serves it. */
import type { EngineKind } from "../engine/profile.ts";

export type Subject = {
  /** As the engine serves it. */
  model: string;
  kind: EngineKind;
  /** What it is called besides, such as what it was loaded from. */
  names: readonly string[];
  /** Tokens; undefined where the engine does not say. */
  window: number | undefined;
};
