/**
 * Money as text and as numbers: nano-USD in bigints, pico-USD a token for prices. The database does the sums (0002_money.sql); what
 * is here reads what people write, writes what they read, and states the formula a second time, so that the two can be held
 * against each other.
 */
import { GatewayError } from "../conversation/errors.ts";
import type { Usage } from "../conversation/usage.ts";

/** pico-USD a token. Reasoning is output. */
export type TokenPrices = {
  readonly inputUncached: bigint;
  readonly cacheRead: bigint;
  readonly cacheWrite: bigint;
  readonly output: bigint;
};

const NANO = 9;
/** USD a million tokens is a pico-USD a token times 10^6. */
const PICO_OF_A_MILLION = 6;
/** The database's bound: USD 1,000 a million tokens. */
const HIGHEST_PRICE = 1_000_000_000n;

/** What a request costs in nano-USD: exact, rounded once, half up. */
export function costOf(prices: TokenPrices, usage: Usage): bigint {
  const pico =
    BigInt(usage.inputUncached) * prices.inputUncached +
    BigInt(usage.cacheRead) * prices.cacheRead +
    BigInt(usage.cacheWrite) * prices.cacheWrite +
    BigInt(usage.output) * prices.output;
  return (pico + 500n) / 1000n;
}

/** What to hold for so many tokens, in nano-USD: as if the prompt were of the dearest class; rounded up. */
export function holdFor(prices: TokenPrices, input: number, output: number): bigint {
  const pico = BigInt(input) * dearestInput(prices) + BigInt(output) * prices.output;
  return (pico + 999n) / 1000n;
}

export function dearestInput({ inputUncached, cacheRead, cacheWrite }: TokenPrices): bigint {
  const dearer = cacheRead > cacheWrite ? cacheRead : cacheWrite;
  return inputUncached > dearer ? inputUncached : dearer;
}

/** Reads USD as in `12`, `0.5`, `-3.25` into nano-USD. Throws GatewayError `invalid_request`; more than nine decimals are an error. */
export function parseUsd(text: string): bigint {
  return parseDecimal(text, NANO, "an amount in USD as in 12.50, below a billion and of at most nine decimals");
}

/** Reads USD a million tokens, as price lists have it, into pico-USD a token. Throws GatewayError `invalid_request`. */
export function parsePrice(text: string): bigint {
  const price = parseDecimal(
    text,
    PICO_OF_A_MILLION,
    "a price in USD a million tokens as in 3 or 0.075, of at most six decimals",
  );
  if (price < 0n || price > HIGHEST_PRICE)
    throw new GatewayError("invalid_request", `${text} is not a price between 0 and 1000 USD a million tokens`);
  return price;
}

/** nano-USD as USD, exact: two decimals, and more where they are not zero. */
export function formatUsd(nano: bigint): string {
  return formatDecimal(nano, NANO);
}

/**
 * nano-USD a million tokens, of an amount in nano-USD for so many tokens: to a millionth of a USD, half up, for it is a rate and not an
 * amount that is charged. Undefined where there are no tokens.
 */
export function perMillion(nano: bigint, tokens: bigint): bigint | undefined {
  if (tokens === 0n) return undefined;
  const rate = (nano * 1_000_000n) / tokens;
  return ((rate + 500n) / 1000n) * 1000n;
}

/** nano-USD as whole cents, rounded down; none where it is below zero. */
export function wholeCents(nano: bigint): bigint {
  return nano < 0n ? 0n : nano / 10_000_000n;
}

/** pico-USD a token as USD a million tokens, exact. */
export function formatPrice(pico: bigint): string {
  return formatDecimal(pico, PICO_OF_A_MILLION);
}

/** Largest amount that can be written: a million million USD would not fit 64 bits. */
const MOST_DIGITS = 9;
/** The same in nano-USD. A balance, a limit and what is held beside each other still fit 64 bits. */
export const MOST_USD = 10n ** BigInt(MOST_DIGITS + NANO) - 1n;

function parseDecimal(text: string, scale: number, wanted: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text.trim());
  const [, sign = "", whole = "", fraction = ""] = match ?? [];
  const significant = fraction.replace(/0+$/, "");
  if (match === null || significant.length > scale || whole.replace(/^0+/, "").length > MOST_DIGITS)
    throw new GatewayError("invalid_request", `"${text}" is not ${wanted}`);
  const amount = BigInt(whole + significant.padEnd(scale, "0"));
  return sign === "-" ? -amount : amount;
}

function formatDecimal(amount: bigint, scale: number): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, -scale);
  const fraction = digits.slice(-scale).replace(/0+$/, "").padEnd(2, "0");
  return `${amount < 0n ? "-" : ""}${whole}.${fraction}`;
}
