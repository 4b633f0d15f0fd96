/** Remembers how long a tenant's answers usually are, so that a hold need not be for all of `max_tokens`. */

/** What is assumed of a tenant that nothing is known of, in tokens. */
const AT_FIRST = 512;
/** Less would have to grow at once (see live-request.ts), at the cost of a statement for each short answer. */
const LEAST = 256;
const CAPACITY = 10_000;

export type UsualOutput = {
  /** Tokens to hold for: twice the usual answer, and never more than `most`. */
  toHold(tenantId: string, model: string, most: number): number;
  learn(tenantId: string, model: string, output: number): void;
};

export function createUsualOutput(): UsualOutput {
  const usual = new Map<string, number>();
  return {
    toHold(tenantId, model, most) {
      const average = usual.get(`${tenantId} ${model}`) ?? AT_FIRST;
      return Math.min(most, Math.max(LEAST, Math.ceil(average * 2)));
    },
    learn(tenantId, model, output) {
      const key = `${tenantId} ${model}`;
      const average = usual.get(key);
      if (average === undefined && usual.size >= CAPACITY) usual.clear();
      // Long answers count sooner than short ones: a hold that is too small costs a statement, one that is too large little.
      const weight = average === undefined || output > average ? 0.3 : 0.05;
      usual.set(key, (average ?? AT_FIRST) * (1 - weight) + output * weight);
    },
  };
}
