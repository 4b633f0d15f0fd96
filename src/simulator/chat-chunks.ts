/** The bytes of answers: chunks of a stream and whole completions, field by field as vLLM 0.32.0 writes them. */
import type { Frame, Plan } from "./answer-plan.ts";
import { byteJson } from "./byte-json.ts";

export type PromptUsage = { prompt: number; cached: number; created: number };

export type AnswerShape = {
  id: string;
  /** Unix seconds. */
  created: number;
  model: string;
  prompt: PromptUsage;
  /** Usage on every chunk, and in a last one of its own. */
  runningUsage: boolean;
  finalUsage: boolean;
  /** With a reasoning parser vLLM says how many tokens were reasoning. */
  countsReasoning: boolean;
  promptTokensDetails: boolean;
  fingerprint: string;
};

export type ChunkEncoder = {
  /** The first chunk, with the role and nothing else. */
  role(): string;
  /** One chunk of the answer; with `finish` it also ends it. */
  frame(frame: Frame, finish?: Finish): string;
  /** The chunk that ends an answer and adds nothing to it. */
  finish(finish: Finish, tokens: number, reasoning: number): string;
  /** The chunk without choices that carries the final usage. */
  usage(tokens: number, reasoning: number): string;
};

type Finish = Pick<Plan, "finish" | "stopReason">;

/** Encoders give latin1 strings that hold UTF-8 bytes. */
export function createChunkEncoder(shape: AnswerShape): ChunkEncoder {
  const model = byteJson(shape.model);
  const open = `data: {"id":${byteJson(shape.id)},"object":"chat.completion.chunk","created":${shape.created},"model":${model},"choices":[`;
  const openChoice = `${open}{"index":0,"delta":`;
  const fingerprint = `,"system_fingerprint":"${shape.fingerprint}"`;
  const { prompt } = shape;

  const running = (tokens: number, reasoning: number): string => {
    if (!shape.runningUsage) return "";
    const counts = `"prompt_tokens":${prompt.prompt},"total_tokens":${prompt.prompt + tokens},"completion_tokens":${tokens}`;
    return `,"usage":{${counts},"completion_tokens_details":${reasoningDetails(shape, reasoning)}}`;
  };
  const ending = (delta: string, finish: Finish, tokens: number, reasoning: number): string =>
    `${openChoice}${delta},"logprobs":null,"finish_reason":"${finish.finish}","stop_reason":${byteJson(finish.stopReason)},"token_ids":null}]` +
    `${running(tokens, reasoning)}${shape.finalUsage ? "" : fingerprint}}\n\n`;

  return {
    role: () =>
      `${openChoice}{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]${running(0, 0)},"prompt_token_ids":null,"prompt_text":null}\n\n`,
    frame: ({ delta, tokens, reasoning }, finish) =>
      finish
        ? ending(delta, finish, tokens, reasoning)
        : `${openChoice}${delta},"logprobs":null,"finish_reason":null,"token_ids":null}]${running(tokens, reasoning)}}\n\n`,
    finish: (finish, tokens, reasoning) => ending("{}", finish, tokens, reasoning),
    usage(tokens, reasoning) {
      const counts = `"prompt_tokens":${prompt.prompt},"total_tokens":${prompt.prompt + tokens},"completion_tokens":${tokens}`;
      const cached = `"cached_tokens":${prompt.cached},"created_cache_tokens":${prompt.created}`;
      const details = shape.promptTokensDetails ? `,"prompt_tokens_details":{${cached}}` : "";
      const completion = shape.countsReasoning
        ? `,"completion_tokens_details":${reasoningDetails(shape, reasoning)}`
        : "";
      return `${open}],"usage":{${counts}${details}${completion}}${fingerprint}}\n\n`;
    },
  };
}

/** A whole answer; proper text. */
export function encodeCompletion(shape: AnswerShape, plan: Plan): string {
  const { prompt } = shape;
  const calls = plan.calls.map((call) => ({
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: call.arguments },
  }));
  return JSON.stringify({
    id: shape.id,
    object: "chat.completion",
    created: shape.created,
    model: shape.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: plan.content,
          refusal: null,
          annotations: null,
          audio: null,
          function_call: null,
          ...(calls.length > 0 && { tool_calls: calls }),
          reasoning: plan.reasoning,
        },
        logprobs: null,
        finish_reason: plan.finish,
        stop_reason: plan.stopReason,
        token_ids: null,
        routed_experts: null,
      },
    ],
    service_tier: null,
    system_fingerprint: shape.fingerprint,
    usage: {
      prompt_tokens: prompt.prompt,
      total_tokens: prompt.prompt + plan.tokens,
      completion_tokens: plan.tokens,
      prompt_tokens_details: shape.promptTokensDetails
        ? { cached_tokens: prompt.cached, created_cache_tokens: prompt.created, multimodal_tokens: null }
        : null,
      completion_tokens_details: shape.countsReasoning ? { reasoning_tokens: plan.reasoningTokens } : null,
    },
    prompt_logprobs: null,
    prompt_token_ids: null,
    prompt_text: null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  });
}

function reasoningDetails(shape: AnswerShape, reasoning: number): string {
  return shape.countsReasoning ? `{"reasoning_tokens":${reasoning}}` : "null";
}
