/** Writes an integer as a decimal number, exact and as short as it can be. */

/** `formatScaled(12050n, 2)` is `120.5`; `formatScaled(500n, 2)` is `5`. */
export function formatScaled(amount: bigint, decimals: number): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${amount < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}
