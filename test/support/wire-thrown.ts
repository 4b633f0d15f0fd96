/** Asks with an official SDK, and tells what it threw, in one form for both. */
import { APIError as AnthropicError } from "@anthropic-ai/sdk";
import { APIError as OpenaiError } from "openai";
import type { Clients, WireName } from "./wire-gateway.ts";

export type Thrown = {
  /** 0 in the middle of a stream, whose status was spent. */
  status: number;
  type: string;
  message: string;
  headers: Headers;
  requestId: string;
};

/** Throws when the SDK takes what it got for an answer, or fails in a way of its own. */
export async function thrownBy(sdk: Clients, wire: WireName, streams: boolean, content = "Hello."): Promise<Thrown> {
  let answer: unknown;
  try {
    answer = await askWith(sdk, wire, streams, content);
  } catch (thrown) {
    if (!(thrown instanceof AnthropicError) && !(thrown instanceof OpenaiError)) throw thrown;
    // In a stream Anthropic's SDK hands on the whole envelope, OpenAI's the error in it; as it does for whole answers.
    const body = thrown.error as { error?: { type: string; message: string } } | { type: string; message: string };
    const error =
      "error" in body && body.error !== undefined ? body.error : (body as { type: string; message: string });
    return {
      status: thrown.status ?? 0,
      type: error.type,
      message: error.message,
      headers: thrown.headers ?? new Headers(),
      requestId: thrown.requestID ?? "",
    };
  }
  throw new Error(`the SDK took a failure for an answer: ${JSON.stringify(answer)}`);
}

function askWith(sdk: Clients, wire: WireName, streams: boolean, content: string): Promise<unknown> {
  const model = "test-model";
  const messages = [{ role: "user" as const, content }];
  if (wire === "anthropic") {
    const body = { model, max_tokens: 100, messages };
    return streams ? sdk.anthropic.messages.stream(body).finalMessage() : sdk.anthropic.messages.create(body);
  }
  const body = { model, max_completion_tokens: 100, messages };
  const { completions } = sdk.openai.chat;
  return streams ? completions.stream(body).finalChatCompletion() : completions.create(body);
}
