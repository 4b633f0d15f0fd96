import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { describePostgresUrl, pglitePool } from "./connection-pool.ts";
import { PgliteStream } from "./pglite-stream.ts";
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
  it("replaces a worker that died, and the transaction that was in it is as if it had never been", async () => {
    const directory = mkdtempSync(join(tmpdir(), "evener-pglite-"));
    const connect = vi.spyOn(PgliteStream.prototype, "connect");
    const streams = connect.mock.contexts as PgliteStream[];
    const pool = pglitePool(join(directory, "pglite"));
    const insert = { name: "insert", text: "INSERT INTO t VALUES ($1)" };
    try {
      await pool.run({ name: "create", text: "CREATE TABLE t (a int PRIMARY KEY)" }, []);
      await pool.run(insert, [1]);
      await expect(pool.run(insert, [1])).rejects.toMatchObject({ code: "23505" });
      await expect(pool.run(insert, ["x"])).rejects.toMatchObject({ code: "22P02" });
      expect(streams).toHaveLength(1);

      const connection = await pool.connect();
      await connection.query("BEGIN", []);
      await connection.query("INSERT INTO t VALUES (2)", []);
      streams[0]?.destroy();
      const error = await connection.query("INSERT INTO t VALUES (3)", []).catch((thrown: unknown) => thrown);
      expect(isStoreAway(error)).toBe(true);
      connection.release();

      expect(await pool.run({ name: "all", text: "SELECT a FROM t" }, [])).toEqual([{ a: 1 }]);
      expect(streams).toHaveLength(2);
    } finally {
      await pool.end();
      expect(streams.every(({ closed }) => closed)).toBe(true);
      connect.mockRestore();
      rmSync(directory, { recursive: true, force: true });
    }
  }, 60_000);
});
