/** Waits for a promise only so long: what the caller can do without the store must not hang on it. */
import { StoreError } from "./store-error.ts";

/** Rejects with StoreError `unavailable` after `ms`. The work itself goes on. */
export function withPatience<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new StoreError("unavailable", `the database did not answer within ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
