import { expect, test, vi } from "vitest";
import { createChangesElsewhere } from "./changes-elsewhere.ts";

const ENTRY = { action: "tenant.terms", subject: "ten_1", tenant: null, key: null };
const NONE = { id: null, action: null, subject: null, tenant: null, key: null };

/** What is told in answer to each look: its rows, and how long after the last it comes. */
async function told(...looks: { newest: bigint; ids: bigint[]; afterMs?: number }[]): Promise<unknown[][]> {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const rows: object[] = [];
  let told: unknown[] = [];
  const look = createChangesElsewhere({ run: async <R>() => rows as R[] }, (what) => told.push(what));
  const all = [];
  for (const { newest, ids, afterMs = 1_000 } of looks) {
    now += afterMs;
    rows.splice(
      0,
      Infinity,
      ...(ids.length === 0 ? [{ newest, ...NONE }] : ids.map((id) => ({ newest, id, ...ENTRY }))),
    );
    told = [];
    await look();
    all.push(told);
  }
  vi.restoreAllMocks();
  return all;
}

test("an entry is told once, also one that appears behind a newer one", async () => {
  const change = { tenantId: "ten_1", keyId: undefined };
  expect(
    await told(
      { newest: 7n, ids: [] },
      { newest: 9n, ids: [9n] },
      { newest: 9n, ids: [8n, 9n] },
      { newest: 9n, ids: [9n] },
    ),
  ).toEqual([[], [change], [change], []]);
});

test("everything is told where something may have been missed", async () => {
  const begun = { newest: 900n, ids: [] };
  expect(await told(begun, { newest: 900n, ids: [], afterMs: 40_000 })).toEqual([[], ["everything"]]);
  expect(await told(begun, { newest: 1_500n, ids: [1_500n] })).toEqual([[], ["everything"]]);
  // Restored from a backup.
  expect(await told(begun, { newest: 400n, ids: [] }, { newest: 401n, ids: [401n] })).toMatchObject([
    [],
    ["everything"],
    [{ tenantId: "ten_1" }],
  ]);
});
