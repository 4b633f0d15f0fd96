import { describe, expect, it } from "vitest";
import { ERROR_TABLE, type ErrorCode, GatewayError } from "../../conversation/errors.ts";
import { encodeError, streamErrorBody } from "./encode-error.ts";

describe("encodeError", () => {
  it.each(Object.keys(ERROR_TABLE) as ErrorCode[])("encodes %s as Anthropic's envelope", (code) => {
    const row = ERROR_TABLE[code];
    const { status, headers, body } = encodeError(new GatewayError(code, 'say "it" – plainly'), "req_1");
    expect(status).toBe(row.status);
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["request-id"]).toBe("req_1");
    expect(JSON.parse(body)).toEqual({
      type: "error",
      error: { type: row.anthropicType, message: 'say "it" – plainly' },
      request_id: "req_1",
    });
  });

  it("tells the client whether and when to try again", () => {
    expect(encodeError(new GatewayError("unknown_key", "no"), "r").headers["x-should-retry"]).toBe("false");
    expect(encodeError(new GatewayError("rate_limited", "wait", { retryAfter: 7.2 }), "r").headers["retry-after"]).toBe(
      "8",
    );
    const cut = encodeError(new GatewayError("engine_cut", "cut"), "r").headers;
    expect(Object.keys(cut).sort()).toEqual(["content-type", "request-id"]);
  });
});

describe("streamErrorBody", () => {
  const messageOf = (code: ErrorCode, text: string): unknown =>
    JSON.parse(streamErrorBody(new GatewayError(code, text), "req_1")).error.message;

  it("says to try again where that helps, in words that clients look for", () => {
    expect(messageOf("engine_cut", "the answer broke off")).toBe("the answer broke off; retry your request");
    expect(messageOf("engine_failed", "it failed: See above.")).toBe("it failed: See above; retry your request");
  });

  it("does not where it does not", () => {
    expect(messageOf("prompt_too_long", "prompt is too long")).toBe("prompt is too long");
  });
});
