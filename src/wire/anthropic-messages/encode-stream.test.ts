import { APIError, type Anthropic } from "@anthropic-ai/sdk";
import { describe, expect, it } from "vitest";
import { asByteText } from "../../conversation/byte-text.ts";
import { GatewayError } from "../../conversation/errors.ts";
import type { StreamEvent } from "../../conversation/stream-event.ts";
import {
  answerContext,
  call,
  frames,
  judge,
  reasoning,
  signer,
  stop,
  streamBytes,
  text,
} from "./__fixtures__/answer.ts";
import { createStreamEncoder } from "./encode-stream.ts";

const names = (events: readonly StreamEvent[]) =>
  frames(streamBytes(events, answerContext())).map(({ event, data }) => {
    const delta = data["delta"] as { type?: string } | undefined;
    return delta?.type ?? event.replace("content_block_", "");
  });

describe("a stream", () => {
  it("opens each block by its first character and closes it before the next", () => {
    const events = [
      reasoning(""),
      reasoning("Hm."),
      text(""),
      text("A"),
      text("B"),
      ...call(0, "c1", "Bash", "", "{}"),
      stop,
    ];
    expect(names(events)).toEqual([
      "message_start",
      "start",
      "thinking_delta",
      "signature_delta",
      "stop",
      "start",
      "text_delta",
      "text_delta",
      "stop",
      "start",
      "input_json_delta",
      "stop",
      "message_delta",
      "message_stop",
    ]);
  });

  it("is read by the SDK as what the model said", async () => {
    const context = answerContext();
    const events = [
      reasoning("Let me "),
      reasoning("think – 考える."),
      text("Grüße, 世界 👋\n"),
      ...call(0, "call_1", "Bash", '{"comm', 'and":"echo \\"', 'é\\" # 👋"}'),
      ...call(1, "call_2", "Read", '{"path":"/a"}'),
      { type: "finish", reason: "tool-calls" } as const,
    ];
    const message = await judge(streamBytes(events, context), 7);
    expect(message).toMatchObject({
      id: "msg_Ab-c_123",
      type: "message",
      role: "assistant",
      model: "claude-opus-4-8",
      stop_reason: "tool_use",
      stop_sequence: null,
    });
    expect(message.content).toEqual([
      { type: "thinking", thinking: "Let me think – 考える.", signature: expect.any(String) },
      { type: "text", text: "Grüße, 世界 👋\n" },
      { type: "tool_use", id: "call_1", name: "Bash", input: { command: 'echo "é" # 👋' } },
      { type: "tool_use", id: "call_2", name: "Read", input: { path: "/a" } },
    ]);
    const thinking = message.content[0] as Anthropic.ThinkingBlock;
    expect(signer.verify(thinking.thinking, thinking.signature, "claude-opus-4-8")).toBe(true);
  });

  it("signs each thinking block for itself", async () => {
    const message = await judge(
      streamBytes([reasoning("one"), text("so"), reasoning("two"), text("done"), stop], answerContext()),
    );
    const blocks = message.content.filter((block) => block.type === "thinking");
    expect(blocks.map((block) => block.thinking)).toEqual(["one", "two"]);
    for (const block of blocks) expect(signer.verify(block.thinking, block.signature, "claude-opus-4-8")).toBe(true);
  });

  it("gives a call without arguments an empty input", async () => {
    const message = await judge(streamBytes([...call(0, "c", "ListFiles"), stop], answerContext()));
    expect(message.content).toEqual([{ type: "tool_use", id: "c", name: "ListFiles", input: {} }]);
  });

  it("carries integers beyond 2^53 as the model wrote them", () => {
    const bytes = streamBytes([...call(0, "c", "T", '{"id":9007', "199254740993}"), stop], answerContext());
    expect(bytes).toContain('{\\"id\\":9007');
    expect(bytes).toContain("199254740993}");
  });

  it("starts with the prompt's tokens and ends with the final figures, cached ones apart", async () => {
    const context = answerContext({}, { prompt: 1000 });
    const encoder = createStreamEncoder(context);
    const first = encoder.encode(text("Hi"));
    context.usage.report({ prompt: 1000, cached: 896, cacheWritten: 4, completion: 12, reasoning: 5 });
    const bytes = asByteText(first + encoder.encode(stop));
    const start = frames(first)[0]!.data as unknown as Anthropic.RawMessageStartEvent;
    expect(start.message.usage).toMatchObject({ input_tokens: 1000, cache_read_input_tokens: 0 });
    expect((await judge(bytes)).usage).toEqual({
      input_tokens: 100,
      cache_creation_input_tokens: 4,
      cache_read_input_tokens: 896,
      output_tokens: 12,
      output_tokens_details: { thinking_tokens: 5 },
    });
  });

  it("names the stop sequence that ended it", async () => {
    const finish: StreamEvent = { type: "finish", reason: "stop-sequence", stopSequence: "\n– END" };
    const message = await judge(streamBytes([text("a"), finish], answerContext()));
    expect(message).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "\n– END" });
  });

  it("says of a filtered answer that it was refused", async () => {
    const message = await judge(
      streamBytes([text("a"), { type: "finish", reason: "content-filter" }], answerContext()),
    );
    expect(message.stop_reason).toBe("refusal");
    expect(message.stop_details?.type).toBe("refusal");
  });

  it("is complete even when the model said nothing", async () => {
    const message = await judge(streamBytes([stop], answerContext()));
    expect(message).toMatchObject({ content: [], stop_reason: "end_turn" });
  });

  it("quotes the model's name, whatever it is", async () => {
    const model = 'claude "ü" \\ 1\n';
    expect((await judge(streamBytes([stop], answerContext({ model })))).model).toBe(model);
  });
});

describe("ids of tool calls", () => {
  const idsOf = async (events: StreamEvent[], context = answerContext()) => {
    const message = await judge(streamBytes([...events, stop], context));
    return message.content.flatMap((block) => (block.type === "tool_use" ? [block.id] : []));
  };

  it("are the engine's where they will do", async () => {
    expect(await idsOf(call(0, "chatcmpl-tool-0a", "T", "{}"))).toEqual(["chatcmpl-tool-0a"]);
  });

  it("are replaced where Anthropic's clients would refuse them or mix them up", async () => {
    const ids = await idsOf([
      ...call(0, "functions.T:0", "T", "{}"),
      ...call(1, "", "T", "{}"),
      ...call(2, "x", "T", "{}"),
      ...call(3, "x", "T", "{}"),
    ]);
    expect(ids[2]).toBe("x");
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[a-zA-Z0-9_-]+$/);
  });

  it("are new to the conversation", async () => {
    const context = answerContext();
    const part = { type: "tool-call", id: "call_0", name: "T", arguments: "{}" } as const;
    context.request.messages.push({ role: "assistant", content: [part] });
    expect(await idsOf(call(0, "call_0", "T", "{}"), context)).not.toContain("call_0");
  });
});

describe("a broken stream", () => {
  const failure: StreamEvent = {
    type: "error",
    error: new GatewayError("engine_cut", "the engine’s answer broke off"),
  };

  it("ends in an error event and nothing after it", async () => {
    const bytes = streamBytes([text("Hel"), failure], answerContext());
    expect(frames(bytes).at(-1)).toEqual({
      event: "error",
      data: {
        type: "error",
        error: { type: "api_error", message: "the engine’s answer broke off; retry your request" },
        request_id: "req_Ab-c_123",
      },
    });
    const error = await judge(bytes).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(APIError);
    expect((error as APIError).type).toBe("api_error");
  });

  it("is nothing but the error when nothing was said yet", () => {
    expect(names([failure])).toEqual(["error"]);
  });

  it("leaves a thinking block open, so that Claude Code asks again", () => {
    expect(names([reasoning("Hm"), failure])).toEqual(["message_start", "start", "thinking_delta", "error"]);
  });

  it("is refused by the SDK at every place where it may be cut", async () => {
    const bytes = streamBytes([reasoning("a"), text("b"), ...call(0, "c", "T", "{}"), stop], answerContext());
    const whole = bytes.lastIndexOf("event: message_stop");
    for (let at = 0; at < whole; at += 13)
      await expect(judge(asByteText(bytes.slice(0, at)))).rejects.toThrow(/(request|stream) ended/);
  });
});

describe("the order of events", () => {
  it("takes nothing after the end", () => {
    for (const end of [stop, { type: "error", error: new GatewayError("internal", "x") } as const]) {
      const encoder = createStreamEncoder(answerContext());
      encoder.encode(end);
      expect(() => encoder.encode(text("more"))).toThrow("after the end");
      expect(encoder.ping()).toBe("");
    }
  });

  it("takes no arguments without a call", () => {
    const encoder = createStreamEncoder(answerContext());
    encoder.encode(text("a"));
    expect(() => encoder.encode(call(0, "c", "T", "{}")[1]!)).toThrow("before its start");
  });
});

describe("ping", () => {
  it("shows life before the first event and between any two, and changes nothing", async () => {
    const encoder = createStreamEncoder(answerContext());
    const events = [reasoning("a"), text("b"), ...call(0, "c", "T", "{", "}"), stop];
    const bytes = asByteText(events.map((event) => encoder.ping() + encoder.encode(event)).join(""));
    expect(bytes.startsWith('event: ping\ndata: {"type":"ping"}\n\nevent: message_start')).toBe(true);
    expect(await judge(bytes)).toEqual(await judge(streamBytes(events, answerContext())));
  });
});
