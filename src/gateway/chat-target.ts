/** How requests are put to one model on one engine: its served name and its prompt profile. */
import type { ChatTarget } from "../engine/encode-chat.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { ENGINE_PROFILES } from "../engine/profile.ts";
import { type ThinkingSwitch, defaultPromptProfile } from "../engine/prompt/prompt-profile.ts";
import type { Config } from "../config/schema.ts";

/**
 * The target without a limit on tokens, which depends on the prompt. What the configuration says of the model comes before what
 * is known of its engine; both are constants of the model, so that its prompts stay cached.
 */
export function chatTarget(config: Pick<Config, "models">, model: string, engine: EngineInfo | undefined): ChatTarget {
  const own = config.models[model];
  const profile = { ...defaultPromptProfile };
  if (engine !== undefined) {
    const known = ENGINE_PROFILES[engine.kind];
    profile.reasoningReplay = known.reasoningIn ?? "none";
    profile.namedToolChoice = known.namedToolChoice;
  }
  if (own?.vision !== undefined) profile.vision = own.vision;
  if (own?.reasoning_replay !== undefined) profile.reasoningReplay = own.reasoning_replay;
  if (own?.late_system !== undefined) profile.lateSystem = own.late_system;
  if (own?.shared_heads !== undefined) profile.sharedHeads = own.shared_heads;
  if (own?.thinking_switch !== undefined) profile.thinkingSwitch = THINKING_SWITCHES[own.thinking_switch];
  const runningUsage = engine === undefined ? "none" : ENGINE_PROFILES[engine.kind].runningUsage;
  // An answer that the gateway ends is billed by what was counted until then, so the engine must count as it goes.
  const ownStops = runningUsage !== "none";
  return { model, streamOptions: true, timingsPerToken: runningUsage === "timings_per_token", ownStops, profile };
}

const THINKING_SWITCHES: Record<NonNullable<Config["models"][string]["thinking_switch"]>, ThinkingSwitch> = {
  none: { by: "none" },
  enable_thinking: { by: "flag", name: "enable_thinking" },
  thinking: { by: "flag", name: "thinking" },
  reasoning_effort: { by: "effort", levels: ["low", "medium", "high"] },
};
