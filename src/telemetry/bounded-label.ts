/** Keeps a metric label from taking more values than a metrics store can bear, where clients choose the values. */

/** The value itself for the first `most` different ones, `other` for those that come later. */
export function boundedLabel(most: number): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= most) return "other";
    known.add(value);
    return value;
  };
}
