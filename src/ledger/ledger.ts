/** Puts the ledger's parts together around the life of a request: reserve, checkpoint, settle. */
import { InFlight, type Placed } from "../base/in-flight.ts";
import { isoTime } from "../base/iso-time.ts";
import type { Usage } from "../conversation/usage.ts";
import { batcher } from "../db/batcher.ts";
import type { Store } from "../db/open-store.ts";
import { isStoreAway } from "../db/store-error.ts";
import { withPatience } from "../db/with-patience.ts";
import { createCheckpointer } from "./checkpointer.ts";
import { createFinisher } from "./finisher.ts";
import type { Journal } from "./journal/journal.ts";
import type { OpenRecord } from "./journal/records.ts";
import { type AdmittedTerms, createKnownTerms } from "./known-terms.ts";
import type { Ledger, LedgerOptions, Reservation, ReserveRequest } from "./ledger-types.ts";
import { LiveRequest } from "./live-request.ts";
import { createPresence } from "./presence.ts";
import { refusal, storeAway } from "./refusals.ts";
import { type SettleItem, releaseItem, settleItem, whole } from "./settle-item.ts";
import { createSettleWriter } from "./settle-writer.ts";
import { type ReserveItem, type ReserveResult, reserveHolds } from "./statements.ts";
import { storableText, storableTextOrNull } from "./storable-text.ts";
import { startUpkeep } from "./upkeep.ts";
import { createUsualOutput } from "./usual-output.ts";

const MOST_A_STATEMENT = 256;
/** What the first of many requests waits for the others: a statement for one costs as much as one for twenty. */
const RESERVE_LINGER_MS = 2;
/** A second of tokens is the most that a death may cost; the rest is for a machine that is busy, and for what is on its way then. */
const CHECKPOINT_MS = 250;

/** Behind a network, who is silent is away. The embedded database is there or says so: silent, it has much to do. */
const PATIENCE_MS = { postgres: 2_000, pglite: 10_000 } as const;

export function createLedger(
  store: Store,
  journal: Journal,
  options: LedgerOptions & { owner: string },
): Omit<Ledger, "recovered"> & { /** Resolves when the database knows all running counts. */ flush(): Promise<void> } {
  const { owner, leaseMs = 15_000, capacity = 50_000, onProblem = () => {} } = options;
  const { patienceMs = PATIENCE_MS[store.kind] } = options;
  /** PGlite never syncs: there the journal is what makes a step durable. Postgres needs it only while it is away. */
  const journalAll = store.kind === "pglite";
  const usual = createUsualOutput();
  const known = createKnownTerms(journalAll);
  const presence = createPresence(
    () => withPatience(store.ping(), patienceMs),
    () => known.reset(),
  );
  const settles = createSettleWriter(store, presence);
  const lanes = store.kind === "pglite" ? 1 : 2;
  const reserves = batcher((items: ReserveItem[]) => reserveHolds(store, { owner, leaseMs }, items), MOST_A_STATEMENT, {
    lanes,
    lingerMs: RESERVE_LINGER_MS,
  });
  const checkpointer = createCheckpointer({
    store,
    owner,
    journal,
    journalAll,
    presence,
    known,
    leaseMs,
    everyMs: options.checkpointMs ?? CHECKPOINT_MS,
    onProblem,
  });
  const finish = createFinisher({ settles, journal, journalAll, presence, patienceMs, onProblem });
  const upkeep = startUpkeep(store, journal, presence, {
    leaseMs,
    sweepMs: options.sweepMs ?? 5_000,
    everyMs: options.upkeepMs ?? 60_000,
    onProblem,
  });
  /** What may cost something and has no hold, until the database has its end. */
  const unknown = new InFlight<Placed & { tenantId: string; reservedAt: Date }>();
  let finishing = 0;
  let onFinished = (): void => {};
  const finished = (): void => {
    if (--finishing === 0) onFinished();
  };

  const end = (item: SettleItem, onApplied?: () => void): Promise<void> => {
    const ended = finish(item, onApplied);
    finishing++;
    ended.then(finished, finished);
    upkeep.worked();
    return ended;
  };

  /** Nothing was sent to an engine, and a hold may or may not be there. */
  const release = (requestId: string, accountId: number | null): void => {
    end(releaseItem(requestId, accountId)).catch((error: unknown) => onProblem("a hold could not be freed", error));
  };

  const cannotOpen = (error: unknown): void => onProblem("a reservation could not be written to the journal", error);

  /** Undefined: the database is away. */
  const askStore = async (item: ReserveItem): Promise<ReserveResult | undefined> => {
    if (presence.away) return undefined;
    const askedAt = performance.now();
    try {
      const result = await withPatience(reserves.add(item), patienceMs);
      known.learn(item, result, askedAt);
      return result;
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      presence.fail();
      return undefined;
    }
  };

  return {
    async reserve(request) {
      if (settles.pending >= capacity) throw storeAway();
      const free = known.free(request.tenantId, request.keyId, request.model);
      // What is free is not estimated, either.
      const item =
        free === undefined
          ? toItem(request, request.inputTokens(), usual.toHold(request.tenantId, request.model, request.maxOutput))
          : toItem(request, 0, 0);
      const result = free === undefined ? await askStore(item) : undefined;
      if (result?.refused) throw refusal(result);
      const { outage } = known;
      const terms = free ?? result ?? known.admit(item);
      if (terms === undefined) {
        release(item.request_id, null);
        throw storeAway();
      }
      const heldBy = result !== undefined ? "store" : free !== undefined ? "none" : "known";
      const { accountId, reservedAt } = terms;
      const priceId = terms.price?.id ?? null;
      const live = new LiveRequest({
        heldBy,
        item,
        terms,
        counts: request.counts,
        maxOutput: request.maxOutput,
        graceMs: patienceMs,
        extend: (asking) => checkpointer.check(asking),
        onExhausted: () => request.onExhausted(),
      });

      let onApplied: (() => void) | undefined;
      if (journalAll || heldBy !== "store") {
        // What cannot cost anything need not wait for the disk, nor what the database has: only a power cut takes that from the embedded one,
        // and a moment's requests with it.
        const waits = terms.price !== null && heldBy !== "store";
        const entry = journal.append(() => JSON.stringify(openRecord(item, terms)), { soon: waits });
        // What the database knows of it is enough, once that is synced.
        if (heldBy === "store") entry.done();
        else if (terms.price === null) onApplied = () => entry.done();
        else {
          const here = { place: -1, tenantId: item.tenant_id, reservedAt };
          unknown.add(here);
          onApplied = () => {
            entry.done();
            unknown.delete(here);
          };
        }
        try {
          if (waits) await entry.durable;
          else entry.durable.catch(cannotOpen);
        } catch (error) {
          cannotOpen(error);
          onApplied?.();
          release(item.request_id, accountId);
          throw storeAway(error);
        }
      }
      checkpointer.add(live);

      let ended: Promise<void> | undefined;
      const endOnce = (item: SettleItem, charged: Usage = NOTHING): Promise<void> => {
        const noted = item.billed ? checkpointer.end(live) : undefined;
        if (noted === undefined) checkpointer.remove(live);
        if (heldBy === "known") known.giveBack(request.tenantId, request.keyId, live.unused(charged), outage);
        return end(item, () => {
          noted?.();
          onApplied?.();
        });
      };
      const reserved = { accountId, priceId, reservedAt };
      const unheld = heldBy === "none" && priceId === null;
      return {
        // Clients are to be told how far they are also where the database was not asked.
        cap: result?.cap ?? known.cap(request.tenantId, request.keyId),
        progress: () => live.progress(),
        settle(row) {
          if (ended !== undefined) return ended;
          if (priceId !== null) usual.learn(row.tenantId, row.model, row.usage.output);
          const cutBy = live.exhausted ? live.refusedBy : null;
          const capped = heldBy === "store" && live.exceededBy(row.usage);
          return (ended = endOnce(settleItem(row, reserved, { billed: true, cutBy, capped, unheld }), row.usage));
        },
        void(row) {
          return (ended ??= endOnce(
            row === undefined
              ? releaseItem(item.request_id, accountId)
              : settleItem(row, reserved, { billed: false, cutBy: null, unheld }),
          ));
        },
      } satisfies Reservation;
    },
    record: (row) =>
      end(
        settleItem(
          row,
          { accountId: null, priceId: null, reservedAt: row.startedAt },
          { billed: false, cutBy: null, unheld: true },
        ),
      ),
    changed: (what) => known.changed(what),
    unknownSince(tenantId) {
      let since: Date | undefined;
      unknown.forEach((request) => {
        if (request.tenantId === tenantId && (since === undefined || request.reservedAt < since))
          since = request.reservedAt;
      });
      return since;
    },
    get status() {
      return {
        live: checkpointer.live,
        pending: settles.pending,
        storeAway: presence.away,
        journalBytes: journal.bytes,
      };
    },
    flush: () => checkpointer.flush(),
    async close(closePatienceMs) {
      checkpointer.close();
      await upkeep.close();
      await settles.close(closePatienceMs);
      if (finishing > 0) await new Promise<void>((resolve) => (onFinished = resolve));
      await journal.close();
      presence.close();
    },
  };
}

const NOTHING: Usage = { inputUncached: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

function openRecord(item: ReserveItem, { accountId, price, reservedAt }: AdmittedTerms): OpenRecord {
  const { input: _input, output: _output, ...known } = item;
  return {
    t: "open",
    ...known,
    account_id: accountId,
    price_id: price?.id ?? null,
    reserved_at: isoTime(reservedAt.getTime()),
  };
}

function toItem(request: ReserveRequest, input: number, output: number): ReserveItem {
  return {
    request_id: request.requestId,
    tenant_id: request.tenantId,
    key_id: request.keyId,
    model: storableText(request.model),
    input: whole(input),
    output: whole(output),
    requested_model: storableText(request.requestedModel),
    wire: request.wire,
    streamed: request.streamed,
    session: storableTextOrNull(request.session),
    agent: storableTextOrNull(request.agent),
    started_at: isoTime(request.startedAt.getTime()),
  };
}
