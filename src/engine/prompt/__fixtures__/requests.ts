/** Builds small requests for the tests of this folder. */
import type { ChatRequest, FunctionTool, Message } from "../../../conversation/request.ts";

export function request(messages: Message[], rest: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: "claude-opus-5",
    stream: true,
    system: [],
    messages,
    tools: [],
    sampling: {},
    stop: [],
    reasoning: { mode: "unset" },
    identity: {},
    extensions: {},
    ignored: [],
    ...rest,
  };
}

export const user = (text: string): Message => ({ role: "user", content: [{ type: "text", text }] });
export const system = (text: string): Message => ({ role: "system", content: [{ type: "text", text }] });
export const assistant = (text: string, ...calls: string[]): Message => ({
  role: "assistant",
  content: [
    ...(text === "" ? [] : [{ type: "text" as const, text }]),
    ...calls.map((id) => ({ type: "tool-call" as const, id, name: "Bash", arguments: '{"command":"ls"}' })),
  ],
});
export const result = (callId: string, text: string, isError = false): Message => ({
  role: "user",
  content: [{ type: "tool-result", callId, content: [{ type: "text", text }], isError }],
});
export const tool = (name: string, rest: Partial<FunctionTool> = {}): FunctionTool => ({
  type: "function",
  name,
  description: `Runs ${name}`,
  schema: { type: "object", properties: { a: { type: "string" } } },
  deferred: false,
  ...rest,
});
