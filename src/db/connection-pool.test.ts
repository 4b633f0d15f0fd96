import { mkdtempSync, rmSync } from "node:fs";
import type { Duplex } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PoolClient } from "pg";
import { describe, expect, it } from "vitest";
import { describePostgresUrl, pglitePool } from "./connection-pool.ts";
import { isStoreAway } from "./store-error.ts";

describe("describePostgresUrl", () => {
  it.each([
    ["postgres://user:secret@db.example:6432/evener?sslmode=require", "postgres://db.example:6432/evener"],
    ["postgresql://db.example/evener", "postgres://db.example/evener"],
    ["postgres:///evener?host=/run/postgresql", "postgres:///run/postgresql/evener"],
    ["host=db password=secret", "postgres"],
  ])("shows %s without its secrets", (url, shown) => {
    expect(describePostgresUrl(url)).toBe(shown);
  });
});

describe("pglitePool", () => {
  /** pg has no public way to the socket; a destroyed one ends the worker, as a crash of the engine in it does. */
  function crash(client: PoolClient): void {
    (client as unknown as { connection: { stream: Duplex } }).connection.stream.destroy();
  }

  it("replaces a worker that died, and the transaction that was in it is as if it had never been", async () => {
    const directory = mkdtempSync(join(tmpdir(), "evener-pglite-"));
    const pool = pglitePool(join(directory, "pglite"));
    try {
      await pool.query("CREATE TABLE t (a int)");
      await pool.query("INSERT INTO t VALUES (1)");
      const client = await pool.connect();
      client.on("error", () => {});
      await client.query("BEGIN");
      await client.query("INSERT INTO t VALUES (2)");
      crash(client);
      const error = await client.query("INSERT INTO t VALUES (3)").catch((thrown: unknown) => thrown);
      expect(isStoreAway(error)).toBe(true);
      client.release();
      const { rows } = await pool.query("SELECT a FROM t");
      expect(rows).toEqual([{ a: 1 }]);
    } finally {
      await pool.end();
      rmSync(directory, { recursive: true, force: true });
    }
  }, 60_000);
});
