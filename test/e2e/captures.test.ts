/**
 * Requests that real clients sent (test/fixtures/captures: ids, hosts and paths normalised, prose shortened), posted as they
 * were: headers, query, field order and all. Every one is accepted and answered in the client's own form.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { send } from "../support/http.ts";

const FOLDER = fileURLToPath(new URL("../fixtures/captures", import.meta.url));

type Capture = {
  method: string;
  /** With the query. */
  path: string;
  /** The header in which the client sent its key. */
  credential: "authorization" | "x-api-key";
  headers: Record<string, string>;
  body: { model: string; stream?: boolean; tools?: { name?: string }[] } | null;
};

const ALL = readdirSync(FOLDER).flatMap((client) =>
  readdirSync(join(FOLDER, client)).map((name) => ({
    client,
    name,
    capture: JSON.parse(readFileSync(join(FOLDER, client, name), "utf8")) as Capture,
  })),
);

let simulator: Simulator;
let evener: RunningEvener;

beforeAll(async () => {
  // The names that the captured clients were told to use.
  const models = new Set(ALL.flatMap(({ capture }) => (capture.body === null ? [] : [capture.body.model])));
  const served = [...models].filter((name) => !name.startsWith("claude-"));
  simulator = await startSimulator({ model: served, maxModelLen: 200_000, reasoning: true, vision: true });
  evener = await startEvener({ engines: [simulator.url] });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
});

it.each([
  "claude-code-2.1.197",
  "opencode-1.18.33",
  "aider-0.86.2",
  "anthropic-sdk-1.12.0",
  "openai-sdk-6.49.0",
  "codex-0.169.0",
])("has requests of %s", (client) => {
  expect(ALL.filter((entry) => entry.client === client).length).toBeGreaterThan(0);
});

describe.each([...new Set(ALL.map((entry) => entry.client))])("%s", (client) => {
  it.each(ALL.filter((entry) => entry.client === client))("$name is accepted", async ({ capture }) => {
    const answer = await send(evener.url + capture.path, {
      method: capture.method,
      headers: {
        ...capture.headers,
        [capture.credential]: capture.credential === "authorization" ? `Bearer ${evener.key}` : evener.key,
      },
      ...(capture.body !== null && { body: capture.body }),
    });
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
    for (const pattern of ownForm(capture)) expect(answer.text).toMatch(pattern);
  });
});

/** What an answer must look like to the client that asked. */
function ownForm({ path, headers, body }: Capture): RegExp[] {
  if (path.startsWith("/v1/models")) {
    return "anthropic-version" in headers ? [/^\{"data":\[\{"type":"model"/] : [/^\{"object":"list","data":\[/];
  }
  if (path.includes("count_tokens")) return [/^\{"input_tokens":[1-9]\d*\}$/];
  if (path.startsWith("/v1/responses")) {
    return body?.stream === true
      ? [/^event: response\.created\ndata: \{/, /event: response\.completed\ndata: \{.*\}\n\n$/]
      : [/^\{.*\}$/s, /"object":"response"/, /"status":"completed"/];
  }
  const anthropic = path.startsWith("/v1/messages");
  if (body?.stream !== true) {
    return anthropic
      ? [/^\{.*\}$/s, /"type":"message"/, /"stop_reason":"\w+"/]
      : [/^\{.*\}$/s, /"object":"chat.completion"/, /"finish_reason":"\w+"/];
  }
  return anthropic
    ? [/^event: message_start\n/, /event: message_stop\ndata: \{"type":"message_stop"\}\n\n$/]
    : [/^data: \{/, /"finish_reason":"\w+"/, /data: \[DONE\]\n\n$/];
}
