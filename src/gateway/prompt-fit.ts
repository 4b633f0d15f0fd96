/** Fits one request to its model's window: bounds the prompt by its bytes, and counts it only where that decides something. */
import type { GatewayError, SaidOverflow } from "../conversation/errors.ts";
import type { ChatRequest } from "../conversation/request.ts";
import { type ChatTarget, type EncodedPrompt, encodeChat, encodeTokenize } from "../engine/encode-chat.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { overflowError } from "../engine/overflow.ts";
import { ENGINE_PROFILES } from "../engine/profile.ts";
import { countPromptTokens, type PromptCount } from "../engine/tokenize.ts";
import type { EngineState } from "../routing/engine-pool.ts";
import type { ServedModel } from "../routing/model-registry.ts";
import { fitToWindow, leastRoom, type PromptSize, promptTokensAtMost } from "./fit-window.ts";
import type { Gateway } from "./gateway.ts";

/** Room left between a prompt and the window when the engine has once refused: it may count a little more than was counted. */
const REFIT_MARGIN = 16;

export type PromptFit = {
  /** The body for the engine. */
  body: string;
  /** Most tokens that the engine may answer with; Infinity where nothing says. */
  maxOutput: number;
  /** What `max_tokens` was cut down to, if it was. */
  clampedTo: number | undefined;
  /** The prompt's tokens by the gateway's own count, for engines that do not say. */
  count(): Promise<PromptCount>;
  /**
   * A body that fits after the engine said that this one does not. Throws `prompt_too_long` with the true window and, if anybody knows
   * it, the true size.
   */
  refit(error: GatewayError, refused: EngineState<EngineInfo>): Promise<{ body: string; maxTokens: number }>;
  /** The body of the same request in another form, with the limit that was sent last. From then on `refit` is about that form. */
  reword(request: ChatRequest, target: ChatTarget, prompt: EncodedPrompt): string;
};

export async function fitPrompt(
  gateway: Pick<Gateway, "config" | "upstream">,
  request: ChatRequest,
  model: ServedModel<EngineInfo>,
  replica: EngineState<EngineInfo>,
  target: ChatTarget,
  prompt: EncodedPrompt,
): Promise<PromptFit> {
  const window = model.contextWindow;
  const cap = gateway.config.models[model.id]?.max_output_tokens;
  const requested = request.maxTokens;
  let form = { request, target, prompt };
  const count = (by = replica) =>
    countPromptTokens(gateway.upstream, by.address, by.info, encodeTokenize(form.prompt, form.target));
  let sent: number | undefined;
  const bodyWith = (limit: number | undefined) => {
    sent = limit;
    return encodeChat(
      form.request,
      limit === undefined ? form.target : { ...form.target, maxTokens: limit },
      form.prompt,
    );
  };
  const cutsPrompts = replica.info !== undefined && ENGINE_PROFILES[replica.info.kind].longPrompts === "cut";
  const fitting = (size: PromptSize) => fitToWindow({ requested, cap, window, prompt: size, cutsPrompts });

  let body = bodyWith(cap === undefined ? requested : Math.min(requested ?? cap, cap));
  const fit = fitting({ known: "at-most", tokens: promptTokensAtMost(body.length) });
  let maxTokens = fit.kind === "fits" ? fit.maxTokens : undefined;
  if (fit.kind === "count-first") {
    const second = fitting(sizeOf(await count()));
    maxTokens = second.kind === "fits" ? second.maxTokens : undefined;
    body = bodyWith(maxTokens);
  }
  return {
    body,
    maxOutput: maxTokens ?? window ?? Infinity,
    clampedTo: requested !== undefined && maxTokens !== undefined && maxTokens < requested ? maxTokens : undefined,
    count: () => count(),
    async refit(error, refused) {
      const said = error.overflow;
      if (said === undefined) throw error;
      const size = said.prompt === undefined ? believed(sizeOf(await count(refused)), said) : counted(said.prompt);
      const again = fitToWindow({ requested, cap, window: said.window, prompt: size, cutsPrompts });
      const most = Math.min(
        again.kind === "fits" ? (again.maxTokens ?? Infinity) : Infinity,
        roomAfterRefusal(size, said),
      );
      // An estimate is no size to tell a client: then the engine's words stand.
      const hopeless = said.floor !== undefined && said.floor >= said.window;
      if (hopeless || most >= (maxTokens ?? 0))
        throw size.known === "counted" ? overflowError(said, size.tokens, requested) : error;
      return { body: bodyWith(most), maxTokens: most };
    },
    reword(reworded, itsTarget, itsPrompt) {
      form = { request: reworded, target: itsTarget, prompt: itsPrompt };
      return bodyWith(sent);
    },
  };
}

/** How many tokens may be asked for of an engine that has refused more. */
function roomAfterRefusal({ known, tokens }: PromptSize, { window, floor }: SaidOverflow): number {
  const room = window - tokens;
  if (known === "counted") return Math.max(room - REFIT_MARGIN, Math.ceil(room / 2));
  // The prompt is longer than it was taken for, and nobody knows by how much.
  return floor === undefined ? Infinity : leastRoom(window);
}

/** A count that the engine has just contradicted, as of a template that /tokenize does not know, is an estimate. */
function believed(size: PromptSize, { floor = 0 }: SaidOverflow): PromptSize {
  return floor > size.tokens ? { known: "estimated", tokens: size.tokens } : size;
}

function counted(tokens: number): PromptSize {
  return { known: "counted", tokens };
}

function sizeOf({ tokens, exact }: PromptCount): PromptSize {
  return { known: exact ? "counted" : "estimated", tokens };
}
