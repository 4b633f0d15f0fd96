/** Which times the database reads as `toISOString` writes them: before the year 1 and after 9999 the two do not mean the same. */
const FIRST = Date.parse("0001-01-01T00:00:00.000Z");
const LAST = Date.parse("9999-12-31T23:59:59.999Z");

/** Also false for an invalid Date. */
export function isReadableTime(time: Date): boolean {
  return time.getTime() >= FIRST && time.getTime() <= LAST;
}
