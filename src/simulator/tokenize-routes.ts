/** POST /tokenize and /detokenize. */
import { checkChatBody, parseBody, summary } from "./chat-body.ts";
import type { EngineOptions } from "./options.ts";
import { promptText } from "./prompt.ts";
import { invalidBody, modelNotFound } from "./refusal.ts";
import { detokenize, tokenize, tokenTexts } from "./tokenizer.ts";

/** Takes `prompt`, or `messages` with `tools` as a chat request has them. */
export function answerTokenize(text: string, options: EngineOptions): string {
  const body = parseBody(text);
  const prompt = body["prompt"];
  if (typeof prompt !== "string" && body["messages"] === undefined) {
    const input = summary(body);
    const missing = { type: "missing", msg: "Field required", input };
    throw invalidBody([
      { ...missing, loc: "body.prompt" },
      { ...missing, loc: "body.messages" },
    ]);
  }
  const model = namedModel(body["model"], options);
  const { stream_options: _, ...chat } = body;
  const written = typeof prompt === "string" ? prompt : promptText(checkChatBody(chat), model, options);
  const tokens = tokenize(written);
  return JSON.stringify({
    count: tokens.length,
    max_model_len: options.maxModelLen,
    tokens: Array.from(tokens),
    token_strs: body["return_token_strs"] === true ? tokenTexts(written) : null,
  });
}

export function answerDetokenize(text: string, options: EngineOptions): string {
  const body = parseBody(text);
  const tokens = body["tokens"];
  if (tokens === undefined) {
    throw invalidBody([{ type: "missing", loc: "body.tokens", msg: "Field required", input: summary(body) }]);
  }
  namedModel(body["model"], options);
  const wrong = Array.isArray(tokens) ? tokens.findIndex((token) => !isToken(token)) : -1;
  if (!Array.isArray(tokens) || wrong >= 0) {
    const msg = "Input should be a valid integer";
    throw invalidBody([
      { type: "int_type", loc: wrong < 0 ? "body.tokens" : `body.tokens.${wrong}`, msg, input: summary(tokens) },
    ]);
  }
  return JSON.stringify({ prompt: detokenize(tokens.map(Number)) });
}

function isToken(value: unknown): boolean {
  if (typeof value !== "number") return false;
  try {
    detokenize([value]);
    return true;
  } catch {
    return false;
  }
}

function namedModel(asked: unknown, { models }: EngineOptions): string {
  if (typeof asked !== "string" || asked === "") return models[0];
  if (!models.includes(asked)) throw modelNotFound(asked, models);
  return asked;
}
