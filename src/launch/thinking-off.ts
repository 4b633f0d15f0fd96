/**
 * Claude Code with thinking switched off (`MAX_THINKING_TOKENS=0`, `CLAUDE_CODE_DISABLE_THINKING=1`) leaves the field `thinking` out of its requests
 * (2.1.197, 2.1.330). To Anthropic's API that means no thinking; a model that thinks by default has to be told.
 */
import { isObject } from "../base/is-object.ts";
import type { Environment } from "./claude-code-variables.ts";

/** The user's CLAUDE_CODE_EXTRA_BODY with thinking switched off in it; undefined to leave it as it is. */
export function extraBodyWithoutThinking(user: Environment): string | undefined {
  if (!switchedOff(user)) return undefined;
  const own = parseObject(user["CLAUDE_CODE_EXTRA_BODY"]);
  if (own === undefined || "thinking" in own) return undefined;
  return JSON.stringify({ ...own, thinking: { type: "disabled" } });
}

function switchedOff(user: Environment): boolean {
  const budget = user["MAX_THINKING_TOKENS"]?.trim() ?? "";
  return /^0+$/.test(budget) || /^(1|true|yes|on)$/i.test(user["CLAUDE_CODE_DISABLE_THINKING"]?.trim() ?? "");
}

/** An empty object for nothing; undefined for what is no JSON object, of which the client itself complains. */
function parseObject(text: string | undefined): object | undefined {
  if (text === undefined || text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
