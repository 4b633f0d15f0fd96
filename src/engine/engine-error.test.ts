import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ERROR_TABLE } from "../conversation/errors.ts";
import { type EngineErrorContext, engineError, engineStreamError } from "./engine-error.ts";

const context: EngineErrorContext = { model: "m" };
const json = (value: unknown) => JSON.stringify(value);

/** Code and message that a response is turned into. */
function read(
  status: number,
  body: string,
  more: Partial<EngineErrorContext> = {},
  headers: Record<string, string> = {},
) {
  const error = engineError(status, headers, body, { ...context, ...more });
  return [error.code, error.message, ...(error.retryAfter === undefined ? [] : [error.retryAfter])];
}

describe("recorded errors of vLLM 0.32", () => {
  const recorded = JSON.parse(
    readFileSync(new URL("./__fixtures__/vllm-0.32.0/errors.json", import.meta.url), "utf8"),
  ) as Record<string, { status: number; body: string }>;

  it.each<[string, Partial<EngineErrorContext>, string, string]>([
    ["too-long", {}, "prompt_too_long", "prompt is too long: 8193 tokens > 8192 maximum"],
    [
      "maxtok-too-big",
      {},
      "prompt_too_long",
      "the engine refused the request: max_tokens=999999 cannot be greater than max_model_len=8192. Please request fewer output tokens.",
    ],
    ["model", {}, "model_not_found", `the engine does not serve "m"`],
    ["404-path", {}, "engine_misconfigured", "the engine has no chat completions endpoint (it answered 404)"],
    ["405", {}, "engine_misconfigured", "the engine has no chat completions endpoint (it answered 405)"],
    [
      "415",
      {},
      "engine_refused",
      "the engine refused the request: Unsupported Media Type: Only 'application/json' is allowed",
    ],
    ["badjson", {}, "engine_refused", "the engine refused the request: body.24: JSON decode error"],
    ["missing-messages", {}, "engine_refused", "the engine refused the request: body.messages: Field required"],
    ["image", {}, "engine_refused", "the engine refused the request: test-model is not a multimodal model"],
    ["temp", {}, "engine_refused", "the engine refused the request: temperature must be non-negative, got -3.0."],
    [
      "named-unknown-tool",
      {},
      "engine_refused",
      "the engine refused the request: The tool specified in `tool_choice` does not match any of the specified `tools`",
    ],
    [
      "after-engine-death",
      {},
      "engine_failed",
      "the engine failed (500): EngineCore encountered an issue. See stack trace (above) for the root cause.",
    ],
    ["health-after-engine-death", {}, "engine_overloaded", "the engine is overloaded or not ready"],
    [
      "scale-out-disabled",
      {},
      "engine_misconfigured",
      "the engine does not accept the gateway's API key (it answered 403); whoever runs the gateway must set this engine's key in its configuration",
    ],
  ])("%s %j", (name, more, code, message) => {
    const { status, body } = recorded[name]!;
    expect(read(status, body, more)).toEqual([code, message]);
  });

  it("names the parameter", () => {
    const { status, body } = recorded["temp"]!;
    expect(engineError(status, {}, body, context).param).toBe("temperature");
  });
});

describe("overflow", () => {
  const tooLong = (prompt: number, window: number) => [
    "prompt_too_long",
    `prompt is too long: ${prompt} tokens > ${window} maximum`,
  ];
  const outputTooLong = (prompt: number, output: number, window: number) => [
    "prompt_too_long",
    `input length and \`max_tokens\` exceed context limit: ${prompt} + ${output} > ${window}, decrease input length or \`max_tokens\` and try again`,
  ];

  it.each<[string, number, unknown, Partial<EngineErrorContext>, string[]]>([
    [
      "vLLM, messages and completion",
      400,
      {
        object: "error",
        message:
          "This model's maximum context length is 8192 tokens. However, you requested 11352 tokens (11320 in the messages, 32 in the completion). Please reduce the length of the messages or completion.",
        code: 400,
      },
      {},
      tooLong(11_320, 8_192),
    ],
    [
      "vLLM, only the completion too much",
      400,
      {
        object: "error",
        message:
          "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (1000 in the messages, 8000 in the completion). Please reduce …",
        code: 400,
      },
      {},
      outputTooLong(1_000, 8_000, 8_192),
    ],
    [
      "vLLM, max_tokens too large",
      400,
      {
        error: {
          message:
            "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 8192 tokens and your request has 20 input tokens (32000 > 8192 - 20).",
          code: 400,
        },
      },
      {},
      outputTooLong(20, 32_000, 8_192),
    ],
    [
      "vLLM, passed and requested",
      400,
      {
        error: {
          message:
            "You passed 8193 input tokens and requested 100 output tokens. However, the model's context length is only 8192 tokens, resulting in a maximum input length of 8092 tokens. Please reduce the length of the input prompt.",
          code: 400,
        },
      },
      {},
      tooLong(8_193, 8_192),
    ],
    [
      "vLLM, in characters",
      400,
      {
        error: {
          message:
            "This model's maximum context length is 8192 tokens. However, your prompt contains 900000 characters (more than 524288 characters, which is the upper bound for 8192 input tokens). Please reduce the length of the input prompt.",
          code: 400,
        },
      },
      {},
      tooLong(8_193, 8_192),
    ],
    [
      "vLLM, exceeds",
      400,
      { error: { message: "Input length (9000) exceeds model's maximum context length (8192).", code: 400 } },
      {},
      tooLong(9_000, 8_192),
    ],
    [
      "vLLM, prompt length",
      400,
      {
        error: {
          message: "The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure …",
        },
      },
      {},
      tooLong(9_000, 8_192),
    ],
    [
      "SGLang",
      400,
      {
        object: "error",
        message: "The input (516368 tokens) is longer than the model's context length (262144 tokens).",
        type: "BadRequestError",
        code: 400,
      },
      {},
      tooLong(516_368, 262_144),
    ],
    [
      "SGLang, with the completion",
      400,
      {
        object: "error",
        message:
          "Requested token count exceeds the model's maximum context length of 65536 tokens. You requested a total of 67298 tokens: 50914 tokens from the input messages and 16384 tokens for the completion. Please reduce …",
        code: 400,
      },
      {},
      outputTooLong(50_914, 16_384, 65_536),
    ],
    [
      "llama.cpp",
      400,
      {
        error: {
          code: 400,
          message: "the request exceeds the available context size, try increasing it",
          type: "exceed_context_size_error",
          n_prompt_tokens: 13_392,
          n_ctx: 8_192,
        },
      },
      {},
      tooLong(13_392, 8_192),
    ],
    [
      "llama.cpp in words",
      400,
      {
        error: {
          code: 400,
          message: "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
        },
      },
      {},
      tooLong(9_412, 8_192),
    ],
    [
      "SGLang, with images",
      400,
      {
        error: {
          object: "error",
          message:
            "Multimodal prompt is too long after expanding multimodal tokens. After expanding len(req.origin_input_ids_unpadded)=120 => 9001 >= 8186.",
          type: "BAD_REQUEST",
          param: null,
          code: 400,
        },
      },
      {},
      tooLong(9_001, 8_186),
    ],
    [
      "Text Generation Inference",
      422,
      {
        error: "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
        error_type: "validation",
      },
      {},
      tooLong(5_000, 4_095),
    ],
    [
      "Text Generation Inference, with the completion",
      422,
      {
        error:
          "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens and 2000 `max_new_tokens`",
        error_type: "validation",
      },
      {},
      outputTooLong(3_000, 2_000, 4_096),
    ],
    [
      "TensorRT-LLM",
      400,
      {
        object: "error",
        message: "The sum of prompt length (72417.0), query length (0) should not exceed max_num_tokens (69632)",
        type: "BadRequestError",
        param: null,
        code: 400,
      },
      {},
      tooLong(72_417, 69_632),
    ],
    [
      "TensorRT-LLM, with the completion",
      400,
      {
        object: "error",
        message:
          "The sum of prompt length (4000) and query length (0) max_tokens (2048) should not exceed max_seq_len (4096)",
        type: "BadRequestError",
        code: 400,
      },
      {},
      outputTooLong(4_000, 2_048, 4_096),
    ],
    [
      "TensorRT-LLM without max_tokens",
      400,
      {
        object: "error",
        message:
          "`default_max_tokens` (-152) must be greater than 0, `default_max_tokens` (-152) = max_seq_len (8192) - `splited_prompt_len` (8344) - `query_token_len` (0)",
        code: 400,
      },
      {},
      tooLong(8_344, 8_192),
    ],
    [
      "LM Studio while generating",
      400,
      {
        error:
          "Reached context length of 4096 tokens with model (arch: qwen3vlmoe) that does not currently support mid-generation context overflow. Try reloading with a larger context length or shortening the prompt/chat.",
      },
      {},
      tooLong(4_097, 4_096),
    ],
    [
      "LM Studio",
      400,
      {
        error:
          "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input",
      },
      {},
      tooLong(15_857, 4_096),
    ],
    [
      "LM Studio, n_keep",
      400,
      {
        error:
          "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load …",
      },
      {},
      tooLong(13_055, 4_096),
    ],
    [
      "LM Studio, truncation",
      400,
      { error: "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)" },
      {},
      tooLong(15_028, 7_424),
    ],
    [
      "Ollama",
      400,
      { error: "prompt too long; exceeded max context length by 100918 tokens" },
      { contextWindow: 32_768 },
      tooLong(32_769, 32_768),
    ],
    [
      "a hosted service",
      400,
      { error: { message: "Too many", code: "context_length_exceeded" } },
      { contextWindow: 100 },
      tooLong(101, 100),
    ],
  ])("of %s", (_what, status, body, more, expected) => {
    expect(read(status, json(body), more)).toEqual(expected);
  });

  it("is kept as the engine said it, for whoever sends the request again", () => {
    const said = (message: string, more: Partial<EngineErrorContext> = {}) =>
      engineError(400, {}, json({ error: message }), { ...context, ...more }).overflow;
    expect(said("The input (900 tokens) is longer than the model's context length (800 tokens).")).toEqual({
      window: 800,
      prompt: 900,
    });
    expect(
      said("maximum context length is 800 tokens. However, your prompt contains at least 801 input tokens"),
    ).toEqual({ window: 800, floor: 801 });
    expect(said("max_tokens=64000 cannot be greater than max_model_len=32768.")).toEqual({ window: 32_768 });
    expect(
      said("max_completion_tokens is too large: 64000.This model supports at most 32768 completion tokens."),
    ).toEqual({ window: 32_768 });
    expect(said("prompt too long; exceeded max context length by 10 tokens", { contextWindow: 800 })).toEqual({
      window: 800,
    });
  });

  it("keeps the engine's words where the window is unknown", () => {
    const [code, message] = read(400, json({ error: "prompt too long; exceeded max context length by 10 tokens" }));
    expect([code, message]).toEqual([
      "engine_refused",
      "the engine refused the request: prompt too long; exceeded max context length by 10 tokens",
    ]);
  });

  it("is not read into errors about load", () => {
    expect(
      read(429, json({ error: { message: "maximum context length of the queue" } }), { contextWindow: 10 })[0],
    ).toBe("rate_limited");
  });

  it("is what Claude Code recognises, for any numbers", () => {
    const size = fc.integer({ min: 1, max: 2_000_000 });
    fc.assert(
      fc.property(size, size, (prompt, window) => {
        const [, message] = read(
          400,
          json({
            error: {
              message: `The input (${prompt} tokens) is longer than the model's context length (${window} tokens).`,
            },
          }),
        );
        const match = /^prompt is too long: (\d+) tokens > (\d+) maximum$/.exec(message as string);
        expect(Number(match?.[1])).toBeGreaterThan(Number(match?.[2]));
        expect(Number(match?.[2])).toBe(window);
      }),
    );
  });
});

describe("recorded errors of llama.cpp b11549", () => {
  const recorded = JSON.parse(
    readFileSync(new URL("./__fixtures__/llama.cpp-b11549/errors.json", import.meta.url), "utf8"),
  ) as Record<string, { status: number; body: string }>;
  const refused = (said: string) => ["engine_refused", `the engine refused the request: ${said}`];

  it.each<[string, unknown[]]>([
    ["too-long", ["prompt_too_long", "prompt is too long: 3610 tokens > 2048 maximum"]],
    // A 500, though the model will never see; sent again, it would only fail again.
    [
      "image",
      refused("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
    ],
    [
      "bad-json",
      refused(
        "[json.exception.parse_error.101] parse error at line 1, column 13: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal",
      ),
    ],
    [
      "bad-schema",
      refused(
        "Unable to generate parser for this template. Automatic parser generation failed: JSON schema error at #: unrecognized type wrong",
      ),
    ],
    ["temperature", refused("Field 'temperature': [json.exception.type_error.302] type must be number, but is string")],
    ["two-assistants", refused("Cannot have 2 or more assistant messages at the end of the list.")],
    ["grammar", refused("Failed to initialize samplers: failed to parse grammar")],
    ["no-messages", refused("'messages' is required")],
    ["bad-role", refused("All non-assistant messages must contain 'content'")],
    ["404-path", ["engine_misconfigured", "the engine has no chat completions endpoint (it answered 404)"]],
  ])("reads %s", (name, expected) => {
    const { status, body } = recorded[name]!;
    expect(read(status, body, { contextWindow: 2_048 })).toEqual(expected);
  });

  it("does not take the cache that all slots share for this prompt's window", () => {
    const error = engineStreamError(JSON.parse(recorded["full-cache-in-stream"]!.body), {
      ...context,
      contextWindow: 512,
    });
    expect([error.code, error.message]).toEqual([
      "engine_overloaded",
      "the engine is overloaded or not ready: Context size has been exceeded.",
    ]);
  });
});

describe("other engines, proxies and statuses", () => {
  it.each<[string, number, string, unknown[]]>([
    [
      "Ollama without the model",
      404,
      json({ error: { message: 'model "m" not found, try pulling it first', type: "api_error" } }),
      ["model_not_found", `the engine does not serve "m"`],
    ],
    [
      "LM Studio without a model",
      400,
      json({ error: { message: "No models loaded. Please load a model in the developer page", code: null } }),
      ["model_not_found", `the engine does not serve "m"`],
    ],
    [
      "a model by code",
      400,
      json({ error: { message: "x", code: "model_not_found" } }),
      ["model_not_found", `the engine does not serve "m"`],
    ],
    [
      "llama.cpp loading",
      503,
      json({ error: { code: 503, message: "Loading model", type: "unavailable_error" } }),
      ["engine_overloaded", "the engine is overloaded or not ready: Loading model"],
    ],
    [
      "llama.cpp that was built without something",
      501,
      json({ error: { code: 501, message: "This server does not support it", type: "not_supported_error" } }),
      ["engine_refused", "the engine refused the request: This server does not support it"],
    ],
    [
      "llama.cpp that fails",
      500,
      json({ error: { code: 500, message: "Compute error.", type: "server_error" } }),
      ["engine_failed", "the engine failed (500): Compute error."],
    ],
    [
      "a missing key",
      401,
      json({ error: { message: "Invalid API Key", code: 401 } }),
      ["engine_misconfigured", expect.stringContaining("API key")],
    ],
    ["a slow upload", 408, "", ["engine_overloaded", "the engine is overloaded or not ready"]],
    ["a busy engine", 429, "busy", ["rate_limited", "the engine asks to wait: busy"]],
    [
      "nginx's size limit",
      413,
      "<html><head><title>413 Request Entity Too Large</title></head></html>",
      ["body_too_large", expect.any(String)],
    ],
    [
      "a proxy without an engine",
      502,
      "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>",
      ["engine_failed", "the engine failed (502): 502 Bad Gateway"],
    ],
    ["plain text", 500, "Internal Server Error", ["engine_failed", "the engine failed (500): Internal Server Error"]],
    ["nothing at all", 500, "", ["engine_failed", "the engine failed (500)"]],
    ["broken JSON", 400, `{"error":`, ["engine_refused", `the engine refused the request: {"error":`]],
    ["FastAPI's detail", 422, json({ detail: "no" }), ["engine_refused", "the engine refused the request: no"]],
    [
      "FastAPI's list of details",
      422,
      json({
        detail: [
          { type: "missing", loc: ["body", "messages", 0, "role"], msg: "Field required", input: { secret: 1 } },
          { loc: ["body"], msg: "Too short" },
          { msg: "Odd" },
          7,
        ],
      }),
      ["engine_refused", "the engine refused the request: body.messages.0.role: Field required; body: Too short; Odd"],
    ],
    ["a redirect", 302, "", ["engine_failed", "the engine answered with status 302, which is no answer to a chat"]],
  ])("of %s", (_what, status, body, expected) => {
    expect(read(status, body)).toEqual(expected);
  });

  it.each<[string | undefined, number | undefined]>([
    ["7", 7],
    ["0", 1],
    ["2.5", 3],
    ["999999", 3_600],
    ["Wed, 21 Oct 2015 07:28:00 GMT", 1],
    [new Date(Date.now() + 86_400_000).toUTCString(), 3_600],
    ["soon", undefined],
    [undefined, undefined],
  ])("keeps retry-after %s as %s", (header, expected) => {
    for (const status of [429, 500, 502, 503, 504])
      expect(engineError(status, { "retry-after": header }, "", context).retryAfter).toBe(expected);
  });

  it("never tells a client that its own key is wrong, whatever the engine says", () => {
    const status = fc.integer({ min: 300, max: 599 });
    const body = fc.oneof(
      fc.string(),
      fc.jsonValue().map(json),
      fc.jsonValue().map((error) => json({ error })),
      fc.string().map((message) => json({ error: { message } })),
    );
    fc.assert(
      fc.property(status, body, (anyStatus, anyBody) => {
        const error = engineError(anyStatus, {}, anyBody, context);
        expect(ERROR_TABLE[error.code].status).not.toBe(401);
        expect(ERROR_TABLE[error.code].status).not.toBe(403);
        expect(error.message.length).toBeLessThan(600);
      }),
    );
  });

  it.each<[unknown, string]>([
    [{ error: { message: "x", code: 429 } }, "rate_limited"],
    [{ error: { message: "x", code: "429" } }, "rate_limited"],
    [{ error: { message: "x", code: "rate_limit_exceeded", status: 429 } }, "rate_limited"],
    [{ error: { message: "x", status: 503 } }, "engine_overloaded"],
    [{ error: "x", status: 503 }, "engine_overloaded"],
    [{ error: { message: "x" }, status: "503" }, "engine_overloaded"],
    [{ object: "error", message: "x", code: 400 }, "engine_refused"],
    [{ error: "Input validation error: grammar is not supported", error_type: "validation" }, "engine_refused"],
    [{ error: "Model is overloaded", error_type: "overloaded" }, "rate_limited"],
    [{ error: "Request failed during generation", error_type: "toString" }, "engine_failed"],
    [{ error: { message: "x", code: 1_429 } }, "engine_failed"],
    [{ error: { message: "x", code: 200, status: "UNAVAILABLE" } }, "engine_failed"],
  ])("reads the status out of a stream's %j", (value, code) => {
    expect(engineStreamError(value, context).code).toBe(code);
  });

  it("reads any value out of a stream", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(engineStreamError(value, context).message).not.toBe("");
      }),
    );
  });
});

describe("what the engine would take otherwise", () => {
  it.each<[number, string, string | undefined]>([
    // vLLM 0.32, recorded.
    [400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tool-parser"],
    [400, 'tool_choice="required" requires --tool-call-parser to be set', "tool-parser"],
    [400, 'tool_choice=function "get_weather" requires --tool-call-parser to be set', "tool-parser"],
    [400, "Grammar error: Unknown format: cron", "schema-keywords"],
    [400, 'Grammar error: Unimplemented keys: ["uniqueItems"]', "schema-keywords"],
    [400, "Grammar error: regex parse error:\n    [\n    ^\nerror: unclosed character class", "schema-keywords"],
    [400, "Invalid grammar specification: 'triggers'", "schema-keywords"],
    // With xgrammar alone.
    [400, "Invalid structural tag specification.", "schema-keywords"],
    [
      400,
      "Failed to transform json schema into a grammar: [15:00:57] <path>:83: Regex parsing error at position 2: Unicode character class escape sequence is not supported yet.",
      "schema-keywords",
    ],
    // Older and with other backends, as its users report.
    [400, "The provided JSON schema contains features not supported by xgrammar.", "schema-keywords"],
    [400, "Failed to transform json schema into a regex: unsupported", "schema-keywords"],
    [400, "Regex uses unsupported feature for structured outputs: lookaround.", "schema-keywords"],
    // llama.cpp, LM Studio and Ollama, as their users report.
    [400, "Failed to initialize samplers: failed to parse grammar", "schema-keywords"],
    [500, "JSON schema conversion failed:\nPattern must start with '^' and end with '$'", "schema-keywords"],
    [400, "Pattern must start with '^' and end with '$'", "schema-keywords"],
    // llama.cpp b11549, recorded.
    [
      400,
      "Unable to generate parser for this template. Automatic parser generation failed: JSON schema error at #/properties/v: schema must be an object",
      "schema-keywords",
    ],
    [400, "temperature must be non-negative, got -3.0.", undefined],
    [503, "no grammar workers are ready", undefined],
  ])("%i %s", (status, message, concession) => {
    const error = engineError(status, {}, json({ error: { message } }), context);
    expect(error.concession).toBe(concession);
    if (concession !== undefined) expect(error.code).toBe("engine_refused");
  });

  it("is a grammar, perhaps, where vLLM fails without a word, which stays a failure", () => {
    // vLLM 0.32, recorded; the second as it stands in a stream.
    const wordless = { message: "Internal server error", type: "InternalServerError", param: null, code: 500 };
    const dead = { ...wordless, message: "EngineCore encountered an issue. See stack trace for the root cause." };
    const read = [
      engineError(500, {}, json({ error: wordless }), context),
      engineStreamError({ error: wordless }, context),
      engineError(500, {}, json({ error: dead }), context),
      engineError(500, {}, "Internal Server Error", context),
    ];
    expect(read.map(({ concession }) => concession)).toEqual(["constraint", "constraint", undefined, undefined]);
    for (const { code } of read) expect(code).toBe("engine_failed");
  });
});
