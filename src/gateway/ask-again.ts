/** What to send when an engine has refused a request that it may take in another form, and who is told what was given up for that. */
import type { GatewayError } from "../conversation/errors.ts";
import { encodePrompt, type EncodedPrompt } from "../engine/encode-chat.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { EngineState } from "../routing/engine-pool.ts";
import type { Asking } from "./concessions.ts";
import type { Gateway } from "./gateway.ts";
import type { PromptFit } from "./prompt-fit.ts";

export type AskedFirst = {
  requestId: string;
  asking: Asking;
  fit: PromptFit;
  /** `max_tokens` was cut down to so many. */
  onFitted(maxTokens: number): void;
  /** Given up for this, as `where:name`; the prompt is the one that the engine now gets. */
  onConceded(without: readonly string[], prompt: EncodedPrompt): void;
};

/** An exchange's `amend`: the body to send instead, or the error to show. */
export function askAgain(
  { concessions, observer }: Pick<Gateway, "concessions" | "observer">,
  first: AskedFirst,
): (error: GatewayError, refused: EngineState<EngineInfo>) => Promise<string> {
  let { asking } = first;
  return async (error, refused) => {
    if (error.concession === undefined) {
      const { body, maxTokens } = await first.fit.refit(error, refused);
      first.onFitted(maxTokens);
      return body;
    }
    const again = concessions.concede(error.concession, asking, refused);
    if (again === undefined) throw error;
    const without = again.without.slice(asking.without.length);
    asking = again;
    const prompt = encodePrompt(again.request, again.target);
    observer.conceded(first.requestId, refused.address.name, error, without);
    first.onConceded(without, prompt);
    return first.fit.reword(again.request, again.target, prompt);
  };
}
