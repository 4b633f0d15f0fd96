/**
 * The configuration: its one schema, from which defaults, checks, the published JSON schema (evener.schema.json) and the
 * reference in docs/configuration.md come. Everything has a default but the engines of `evener serve`.
 */
import { z } from "zod";

const milliseconds = z.int().min(1).max(86_400_000);

const engineUrl = z.url({
  protocol: /^https?$/,
  error: "must be an http:// or https:// URL, such as http://127.0.0.1:8000",
});

const engine = z.strictObject({
  url: engineUrl.describe("Base URL of the engine, with or without /v1."),
  api_key: z.string().min(1).optional().describe("Key that the engine asks for, sent as a bearer token."),
  name: z.string().min(1).optional().describe("Name in logs, metrics and usage rows; host:port by default."),
  cost_per_hour: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,9})?$/, 'must be USD an hour in quotes, such as "2.49"')
    .optional()
    .describe("USD an hour, in quotes, that the engine costs; reports then show what tokens cost to make."),
});

const model = z.strictObject({
  display_name: z.string().min(1).optional().describe("Name that pickers show; the served name by default."),
  context_window: z.int().min(1).optional().describe("Tokens; the engine's own figure by default."),
  max_output_tokens: z.int().min(1).optional().describe("Cap on generated tokens of one answer."),
  vision: z
    .boolean()
    .optional()
    .describe("Whether the model sees images; others get a plain note where an image stood."),
  reasoning_replay: z
    .enum(["reasoning", "reasoning_content", "content", "none"])
    .optional()
    .describe("How earlier reasoning goes back to the engine: constant for a model, or prefix caching breaks."),
  late_system: z
    .enum(["fold", "keep"])
    .optional()
    .describe(
      "System messages inside the conversation: folded into the message before them, or left where they stand.",
    ),
  shared_heads: z
    .boolean()
    .optional()
    .describe(
      "Move a harness's volatile system text (directory, git status) behind the shared head, so that sessions share it.",
    ),
  thinking_switch: z
    .enum(["none", "enable_thinking", "thinking", "reasoning_effort"])
    .optional()
    .describe("How the model's template is told to reason or not."),
  recover_tool_calls: z
    .boolean()
    .optional()
    .describe("Whether tool calls that the model wrote as text become calls; yes by default."),
  repair_tool_calls: z
    .boolean()
    .optional()
    .describe(
      "Whether calls that the engine recognised are held back until they are whole, and mended by the tool's schema; no by default: their arguments stream.",
    ),
});

export const configSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
  port: z
    .int("must be a whole number from 0 to 65535")
    .min(0)
    .max(65_535)
    .default(4400)
    .describe("Port to listen on; 0 takes a free one."),
  data: z
    .string()
    .min(1)
    .optional()
    .describe("Directory of the embedded store and of the gateway's own files; ~/.evener by default."),
  database_url: z
    .url({ protocol: /^postgres(ql)?$/, error: "must be a postgres:// URL" })
    .optional()
    .describe("Postgres to keep everything in, instead of the embedded store."),
  engines: z.array(engine).default([]).describe("The engines in front of which the gateway stands."),
  models: z.record(z.string().min(1), model).default({}).describe("What is particular to a served model, by its name."),
  families: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe("Which served model answers for a family of Claude names: opus, sonnet, haiku, default."),
  aliases: z.record(z.string().min(1), z.string().min(1)).default({}).describe("Other names for served models."),
  invoices: z
    .strictObject({
      issuer: z.string().min(1).default("Evener").describe("Who sends the invoices; their name."),
      address: z.array(z.string()).max(8).default([]).describe("Lines under the name: address, tax number."),
    })
    .prefault({}),
  limits: z
    .strictObject({
      body_bytes: z.int().min(1024).default(33_554_432).describe("Largest request body."),
    })
    .prefault({}),
  timeouts: z
    .strictObject({
      connect_ms: milliseconds.default(10_000).describe("To connect to an engine."),
      first_byte_ms: milliseconds
        .default(3_600_000)
        .describe("From the request to the engine's first byte: queue and prefill."),
      idle_ms: milliseconds.default(1_200_000).describe("Between two reads of an engine's answer."),
      total_ms: milliseconds.default(21_600_000).describe("For one answer as a whole."),
      client_ms: milliseconds
        .default(300_000)
        .describe("Without a byte taken by a client for whose sake an engine is held back; then it counts as gone."),
      ping_ms: milliseconds.default(5_000).describe("Silence after which the client is shown a sign of life."),
      probe_ms: milliseconds.default(10_000).describe("Between two looks at an engine."),
      drain_ms: milliseconds.default(30_000).describe("For running answers to end when the gateway stops."),
    })
    .prefault({}),
  kv_admission: z
    .strictObject({
      wait_ms: z
        .int()
        .min(0)
        .max(3_600_000)
        .default(120_000)
        .describe("Longest wait of a new conversation while the engine forgets those that it has; 0: none waits."),
      live_ms: milliseconds
        .default(10_000)
        .describe("After an answer, how long its conversation counts as one that goes on: its tools are running."),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).default("info"),
      format: z
        .enum(["auto", "json", "text"])
        .default("auto")
        .describe("auto: text on a terminal under `evener up`, else JSON."),
    })
    .prefault({}),
});

/** A configuration in which every default has been filled in. */
export type Config = z.output<typeof configSchema>;
/** A configuration as a person writes it. */
export type ConfigInput = z.input<typeof configSchema>;
