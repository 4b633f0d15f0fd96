import { describe, expect, it } from "vitest";
import { ERROR_TABLE, type ErrorCode, GatewayError } from "../../conversation/errors.ts";
import { encodeError } from "./encode-error.ts";

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
