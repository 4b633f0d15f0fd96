/**
 * Says to the chat template whether to think, from what the client wished and how the model is told.
 *
 * Only what the client said is passed on, so that a head changes when the client changes its mind and at no other time.
 * Claude Code says "adaptive" (decoded as `on`) on every request of its main line and nothing on its side calls; those
 * share no conversation with it.
 */
import type { JsonObject, ReasoningWish } from "../../conversation/request.ts";
import type { ThinkingSwitch } from "./prompt-profile.ts";

/** What the wish adds to `chat_template_kwargs`, and `reasoning_effort` where the engine has a parameter for it. */
export type ThinkingArguments = { template: JsonObject; effort?: string };

export function thinkingArguments(wish: ReasoningWish, how: ThinkingSwitch): ThinkingArguments {
  if (how.by === "constant") return { template: { ...how.templateArguments } };
  if (how.by === "flag") {
    const value = wish.mode === "unset" ? how.unset : wish.mode === "on";
    return { template: value === undefined ? {} : { [how.name]: value } };
  }
  const effort = how.by === "effort" ? (effortLevel(wish, how.levels) ?? how.unset) : undefined;
  return effort === undefined ? { template: {} } : { template: {}, effort };
}

/** Whether the client wishes for an effort of which this model cannot be told. */
export function effortUnheard({ effort }: ReasoningWish, how: ThinkingSwitch): boolean {
  return effort !== undefined && effort !== "none" && how.by !== "effort";
}

/** Every word for effort that a client may use, weakest first. */
const WORDS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** The level of the template nearest to the client's word; no word or an unknown one is no level. */
export function effortLevel(wish: ReasoningWish, levels: readonly string[]): string | undefined {
  const word = wish.mode === "off" ? "none" : wish.effort;
  if (word === undefined) return undefined;
  if (levels.includes(word)) return word;
  const wanted = WORDS.indexOf(word);
  if (wanted === -1) return undefined;
  let nearest: string | undefined;
  let distance = Infinity;
  for (const level of levels) {
    if (level === "none") continue; // who asks for little thinking does not ask for none
    const away = Math.abs(WORDS.indexOf(level) - wanted);
    if (away < distance) [nearest, distance] = [level, away];
  }
  return nearest;
}
