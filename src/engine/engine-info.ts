/** What a look at a live engine finds out about it. */
import type { EngineKind } from "./profile.ts";

/** A model as its engine lists it. */
export type EngineModel = {
  readonly id: string;
  /** Tokens that prompt and answer may have together; absent where the engine does not say what it would really take. */
  readonly contextWindow?: number;
  /** What the model was loaded from, where that differs from the name it is served by. */
  readonly root?: string;
};

export type EngineInfo = {
  readonly kind: EngineKind;
  readonly version?: string;
  readonly models: readonly EngineModel[];
  /** How many tokens its KV cache holds; absent where it does not say. */
  readonly kvTokens?: number;
  /** Whether the engine counts the tokens of a chat for us. */
  readonly canTokenize: boolean;
};
