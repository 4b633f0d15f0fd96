/**
 * The one place that says which JavaScript value a column gives, so that both drivers give the same: int8 is always a
 * bigint (money is beyond 2^53 sooner than one thinks, and pg's own default is a string, PGlite's sometimes a number).
 * numeric stays text; cast sums to int8 in SQL.
 */
export const parseInt8 = (text: string): bigint => BigInt(text);
