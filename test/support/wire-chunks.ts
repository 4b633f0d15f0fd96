/** Writes chat completion streams as vLLM 0.32 does, from parts or from a recorded whole answer. */

type Json = { [key: string]: unknown };

const HEAD = {
  id: "chatcmpl-b1d4f24da86126c2",
  object: "chat.completion.chunk",
  created: 1_795_360_337,
  model: "test-model",
};

export const DONE = "data: [DONE]\n\n";

export function frame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** One chunk with a delta. */
export function delta(fields: Json, finish: string | null = null, more: Json = {}): string {
  return frame({ ...HEAD, choices: [{ index: 0, delta: fields, logprobs: null, finish_reason: finish, ...more }] });
}

export const role = delta({ role: "assistant", content: "" });
export const say = (content: string): string => delta({ content });
export const think = (reasoning: string): string => delta({ reasoning });
export const finish = (reason = "stop", more: Json = {}): string => delta({}, reason, more);

export function call(index: number, name: string, id = `chatcmpl-tool-${index}`): string {
  return delta({ tool_calls: [{ id, type: "function", index, function: { name, arguments: "" } }] });
}

export function args(index: number, text: string): string {
  return delta({ tool_calls: [{ index, function: { arguments: text } }] });
}

export function usage(prompt: number, completion: number, cached = 0): string {
  return frame({
    ...HEAD,
    choices: [],
    usage: {
      prompt_tokens: prompt,
      total_tokens: prompt + completion,
      completion_tokens: completion,
      prompt_tokens_details: { cached_tokens: cached },
    },
  });
}

/** A whole stream of some text. */
export function textStream(text: string, prompt = 40): string[] {
  return [role, say(text), finish(), usage(prompt, 5), DONE];
}

type Recorded = {
  choices: {
    message: {
      content: string | null;
      reasoning?: string | null;
      tool_calls?: { id: string; function: { name: string; arguments: string } }[] | null;
    };
    finish_reason: string;
    stop_reason: string | number | null;
  }[];
  usage: Json;
};

/** The stream that adds up to a recorded whole answer. */
export function streamOf(recorded: Recorded): string[] {
  const [choice] = recorded.choices;
  if (choice === undefined) throw new Error("a recorded answer without a choice");
  const { content, reasoning, tool_calls: calls } = choice.message;
  return [
    role,
    ...words(reasoning ?? "").map(think),
    ...words(content ?? "").map(say),
    ...(calls ?? []).flatMap(({ id, function: fn }, index) => [
      call(index, fn.name, id),
      ...words(fn.arguments).map((piece) => args(index, piece)),
    ]),
    finish(choice.finish_reason, { stop_reason: choice.stop_reason }),
    frame({ ...HEAD, choices: [], usage: recorded.usage }),
    DONE,
  ];
}

/** In pieces about as long as tokens. */
function words(text: string): string[] {
  return text.match(/\s*\S+\s*/g) ?? (text === "" ? [] : [text]);
}
