/**
 * Measures what an engine's prefix cache reuses of recorded sessions, request by request.
 *
 *   node scripts/measure-prefix.ts --engine http://127.0.0.1:8000 --model NAME [--direct] [--shared] [--markdown] [--profile JSON] DIR...
 *
 * Each DIR holds one session: JSON files in the order of their names, each `{ "headers": {…}, "body": {…} }` of a request
 * to `/v1/messages`. They are sent as the gateway would send them; with --direct to the engine's own `/v1/messages`.
 * The figure: cached tokens of a request, of the prompt tokens of the request before it (same agent and model).
 * With --shared the sessions share one cache, and a session's first request is compared with its own prompt.
 * The engine must report cached tokens (vLLM: --enable-prompt-tokens-details). Every run has a cache of its own.
 */
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { encodeChat } from "../src/engine/encode-chat.ts";
import { defaultPromptProfile, type PromptProfile } from "../src/engine/prompt/prompt-profile.ts";
import { createAnthropicMessages } from "../src/wire/anthropic-messages/codec.ts";

type Recorded = { headers: Record<string, string>; body: Record<string, unknown> & { model: string } };
type Counted = { prompt: number; cached: number };
type Row = Counted & { session: string; request: string; reused: number | undefined };

const { values: options, positionals: directories } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string" },
    model: { type: "string" },
    direct: { type: "boolean", default: false },
    shared: { type: "boolean", default: false },
    markdown: { type: "boolean", default: false },
    profile: { type: "string", default: "{}" },
  },
});
const { engine, model } = options;
if (engine === undefined || model === undefined || directories.length === 0) {
  console.error(
    "usage: measure-prefix.ts --engine URL --model NAME [--direct] [--shared] [--markdown] [--profile JSON] DIR...",
  );
  process.exit(2);
}
const profile: PromptProfile = { ...defaultPromptProfile, ...(JSON.parse(options.profile) as Partial<PromptProfile>) };
// Recorded reasoning carries the recorder's signature; it stands for this gateway's.
const codec = createAnthropicMessages({ verifySignature: () => true });

async function post(path: string, body: string): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(path, engine), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

async function throughGateway({ headers, body }: Recorded, salt: string): Promise<Counted> {
  const request = codec.decode(JSON.stringify(body), headers);
  const encoded = encodeChat(request, { model: model!, maxTokens: 1, profile, streamOptions: false });
  const { usage } = await post(
    "/v1/chat/completions",
    JSON.stringify({ ...JSON.parse(encoded), stream: false, cache_salt: salt }),
  );
  const { prompt_tokens: prompt, prompt_tokens_details: details } = usage as {
    prompt_tokens: number;
    prompt_tokens_details: { cached_tokens: number } | null;
  };
  if (details === null) throw new Error("the engine reports no cached tokens (vLLM: --enable-prompt-tokens-details)");
  return { prompt, cached: details.cached_tokens };
}

async function direct({ body }: Recorded, salt: string): Promise<Counted> {
  const sent = { ...body, model, max_tokens: 1, stream: false, cache_salt: salt, thinking: undefined };
  const { usage } = await post("/v1/messages", JSON.stringify(sent));
  const counts = usage as {
    input_tokens: number;
    cache_read_input_tokens?: number;
    cache_creation_input_tokens?: number;
  };
  const cached = counts.cache_read_input_tokens ?? 0;
  return { prompt: counts.input_tokens + cached + (counts.cache_creation_input_tokens ?? 0), cached };
}

const SALT = randomUUID();

async function measure(directory: string): Promise<Row[]> {
  const rows: Row[] = [];
  const before = new Map<string, number>();
  const salt = options.shared ? SALT : randomUUID();
  for (const file of readdirSync(directory)
    .filter((name) => name.endsWith(".json"))
    .sort()) {
    const recorded = JSON.parse(readFileSync(join(directory, file), "utf8")) as Recorded;
    const line = `${recorded.headers["x-claude-code-agent-id"] ?? ""} ${recorded.body.model}`;
    const counted = await (options.direct ? direct : throughGateway)(recorded, salt);
    const last = before.get(line) ?? (options.shared ? counted.prompt : undefined);
    rows.push({
      session: basename(directory),
      request: basename(file, ".json"),
      ...counted,
      reused: last && counted.cached / last,
    });
    before.set(line, counted.prompt);
  }
  return rows;
}

const percent = (share: number | undefined) => (share === undefined ? "–" : `${(share * 100).toFixed(1)} %`);

if (options.markdown)
  console.log("| session | requests | tokens of the last | lowest reuse | at request |\n|---|---|---|---|---|");
for (const directory of directories) {
  const rows = await measure(directory);
  if (options.markdown) {
    const lowest = rows.reduce((low, row) => ((row.reused ?? Infinity) < (low.reused ?? Infinity) ? row : low));
    const last = rows.at(-1)!;
    console.log(
      `| ${last.session} | ${rows.length} | ${last.prompt} | ${percent(lowest.reused)} | ${lowest.request} |`,
    );
  } else {
    for (const row of rows) {
      console.log(
        [
          row.session,
          row.request,
          String(row.prompt).padStart(7),
          String(row.cached).padStart(7),
          percent(row.reused).padStart(8),
        ].join("  "),
      );
    }
  }
}
