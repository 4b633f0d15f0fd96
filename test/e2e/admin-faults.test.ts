/** What the log says of a fault behind the admin APIs: by the request id that the caller has, and where it was. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client } from "pg";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { send } from "../support/http.ts";
import { postgresAvailable, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { waitUntil } from "../support/wait-until.ts";

describe.runIf(postgresAvailable())("a fault behind the admin API", () => {
  let simulator: Simulator;
  let server: TestPostgres;
  let evener: RunningEvener;

  beforeAll(async () => {
    simulator = await startSimulator({});
    server = await startPostgres();
    const url = await server.createDatabase();
    evener = await startEvener({ engines: [simulator.url], env: { DATABASE_URL: url } });
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query("ALTER TABLE budget RENAME TO elsewhere");
    await client.end();
  });
  afterAll(async () => {
    await evener?.stop();
    await server?.stop();
    await simulator?.close();
  });

  it.each(["/admin/v1/budgets", "/v1/organizations/spend_limits"])("%s", async (path) => {
    const headers = { "x-api-key": evener.adminKey };
    const failed = await send(evener.url + path, { method: "GET", headers });
    expect(failed.status).toBe(500);
    const requestId = String(failed.headers["request-id"]);
    await waitUntil("the log's line", () => evener.log().includes(requestId));
    const line = evener
      .log()
      .split("\n")
      .find((text) => text.includes(requestId));
    expect(JSON.parse(line ?? "")).toMatchObject({
      level: "error",
      code: "internal",
      // Postgres' own code for a table that is not there.
      cause: expect.stringMatching(/^error 42P01 \| at /),
    });
  });
});
