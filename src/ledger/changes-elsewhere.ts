/** Hears of changes of money through other gateways on the same Postgres, by their entries in the audit log. */
import type { Statement, Store } from "../db/open-store.ts";
import { EVERYTHING, MONEY_ACTIONS, type MoneyAction, type MoneyChange, changeOf } from "./money-change.ts";

type Row = { newest: bigint } & (Entry | { [name in keyof Entry]: null });
type Entry = { id: bigint; action: MoneyAction; subject: string; tenant: string | null; key: string | null };

/** Ids are given before the commit: an entry may appear behind newer ones, as long after as a transaction lasts. */
const WINDOW_MS = 60_000;
/** So many entries are looked at each time; that many within a window are a script's. */
const MOST = 1_000;

const LOOK: Statement = {
  name: "ledger-changes",
  text: `SELECT n.newest, a.id, a.action, a.subject, a.detail ->> 'tenant' AS tenant, a.detail ->> 'key' AS key
    FROM (SELECT coalesce(max(id), 0) AS newest FROM audit_log) n
    LEFT JOIN audit_log a ON a.id > n.newest - ${MOST} AND a.at > clock_timestamp() - interval '${WINDOW_MS} milliseconds'
      AND a.action = ANY ($1)`,
};

/**
 * Each call tells `changed` what is new since the last one. It tells of everything where it may have missed something: after a while without a look, after
 * too many changes, and when the log has become shorter, as in a database that was restored from a backup.
 */
export function createChangesElsewhere(
  store: Pick<Store, "run">,
  changed: (what: MoneyChange | typeof EVERYTHING) => void,
): () => Promise<void> {
  let seen = new Set<bigint>();
  let last = { newest: 0n, at: -Infinity };

  return async () => {
    const at = performance.now();
    const rows = await store.run<Row>(LOOK, [MONEY_ACTIONS]);
    const newest = rows[0]?.newest ?? 0n;
    const more = newest - last.newest;
    // Before the first look nothing can have been missed: what was heard is younger than this gateway.
    const first = last.at === -Infinity;
    const missed = !first && (at - last.at > WINDOW_MS / 2 || more < 0n || more > BigInt(MOST / 2));
    const now = new Set<bigint>();
    for (const row of rows) {
      if (row.id === null) continue;
      now.add(row.id);
      if (!missed && !seen.has(row.id)) changed(changeOf(row));
    }
    if (missed) changed(EVERYTHING);
    seen = now;
    last = { newest, at };
  };
}
