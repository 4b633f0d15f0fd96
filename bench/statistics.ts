/** Medians and percentiles. */

/** The value below which the fraction lies, of values in ascending order; null of none. */
export function percentile(sorted: ArrayLike<number>, fraction: number): number | null {
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
