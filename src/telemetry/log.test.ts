import { describe, expect, it } from "vitest";
import type { LogFields, RequestLog } from "./log-record.ts";
import { createLogger, type LoggerOptions } from "./log.ts";

const ENTRY: RequestLog = {
  requestId: "req_1",
  wire: "openai-chat",
  tenant: "acme",
  key: "laptop",
  model: "qwen3",
  requestedModel: "claude-sonnet-4-5",
  engine: "127.0.0.1:8000",
  session: "s",
  agent: null,
  streamed: true,
  outcome: "ok",
  finishReason: "stop",
  errorCode: null,
  inputUncached: 100,
  cacheRead: 11_900,
  cacheWrite: 0,
  output: 50,
  reasoning: 10,
  countedBy: "engine",
  firstTokenMs: 310,
  durationMs: 4_200,
  repeatOf: null,
  prefixBreak: null,
};

function logged(options: Pick<LoggerOptions, "level" | "format">, use: (log: ReturnType<typeof createLogger>) => void) {
  const lines: string[] = [];
  use(createLogger({ ...options, write: (line) => lines.push(line) }));
  return lines;
}

describe("JSON", () => {
  const json = (use: (log: ReturnType<typeof createLogger>) => void, level: LoggerOptions["level"] = "info") =>
    logged({ level, format: "json" }, use).map((line) => JSON.parse(line) as Record<string, unknown>);

  it("has a line a request, under the names of the usage rows", () => {
    expect(json((log) => log.request(ENTRY))).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        msg: "request",
        request_id: "req_1",
        wire: "openai-chat",
        tenant: "acme",
        key: "laptop",
        model: "qwen3",
        requested_model: "claude-sonnet-4-5",
        engine: "127.0.0.1:8000",
        session: "s",
        agent: null,
        streamed: true,
        outcome: "ok",
        finish_reason: "stop",
        error_code: null,
        input_uncached: 100,
        cache_read: 11_900,
        cache_write: 0,
        output: 50,
        reasoning: 10,
        counted_by: "engine",
        first_token_ms: 310,
        duration_ms: 4_200,
        repeat_of: null,
        prefix_break: null,
      },
    ]);
  });

  it("logs no field that the record does not have", () => {
    const wider = { ...ENTRY, prompt: "secret", headers: { authorization: "Bearer secret" } };
    expect(JSON.stringify(json((log) => log.request(wider)))).not.toContain("secret");
  });

  it.each([
    ["ok", "info"],
    ["client_gone", "info"],
    ["engine_died", "warn"],
    ["error", "warn"],
  ])("logs a request that ended %s as %s", (outcome, level) => {
    expect(json((log) => log.request({ ...ENTRY, outcome }))[0]).toMatchObject({ level, outcome });
  });

  it("names other fields in the same way, and keeps to its level", () => {
    const lines = json((log) => {
      log.info({}, "not shown");
      log.warn({ requestId: "req_2", engine: "e", models: ["a"] }, "engine is down");
    }, "warn");
    expect(lines).toEqual([
      {
        level: "warn",
        time: expect.any(String),
        msg: "engine is down",
        request_id: "req_2",
        engine: "e",
        models: ["a"],
      },
    ]);
  });
});

describe("text", () => {
  const text = (use: (log: ReturnType<typeof createLogger>) => void) => logged({ level: "info", format: "text" }, use);

  it("has a line a request, its columns under one another", () => {
    const [ok, cut] = text((log) => {
      log.request(ENTRY);
      log.request({ ...ENTRY, outcome: "engine_died", errorCode: "engine_cut", firstTokenMs: null, repeatOf: "req_0" });
    }).map((line) => line.slice("00:00:00 ".length));
    expect(ok).toBe(
      "ok              0.31 s first,    4.20 s    12.0k in  99% cached     50 out  claude-sonnet-4-5 → qwen3  acme  req_1\n",
    );
    expect(cut).toBe(
      "engine_cut                       4.20 s    12.0k in  99% cached     50 out  claude-sonnet-4-5 → qwen3  acme  req_1  repeats req_0\n",
    );
  });

  it("keeps a name from a client or an engine to one line without control characters", () => {
    const nasty = "a\n\x1b[2J\u202eb";
    const fields: LogFields = { engine: nasty, nothing: undefined };
    const lines = text((log) => {
      log.request({ ...ENTRY, requestedModel: nasty });
      log.error(fields, "engine is down");
      log.debug({}, "not shown");
    });
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^[^\p{Cc}\p{Cf}]*\n$/u);
    expect(lines[1]).toContain("error: engine is down  engine=a??[2J?b");
  });
});
