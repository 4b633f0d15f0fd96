/** What a kill loop counts, and what it finds to be wrong. */

export type Finding = {
  /**
   * `lost`: what was acknowledged or generated has no bill. `doubled`: more is billed than there was. `late`: more than a second of a
   * broken answer's tokens is not billed. `wrong`: anything else that must not be.
   */
  kind: "lost" | "doubled" | "late" | "wrong";
  text: string;
};

export type Tally = {
  requests: number;
  /** Answers that came to their end at the client. */
  whole: number;
  /** Answers that their client left, that broke off, or that failed. */
  broken: number;
  /** Rows that were settled from a checkpoint. */
  recovered: number;
  /** The most that one broken answer had generated and was not billed. */
  unbilledTokens: number;
  /** The same as time, from the first of these tokens to the last. */
  unbilledMs: number;
  findings: Finding[];
};

export function emptyTally(): Tally {
  return { requests: 0, whole: 0, broken: 0, recovered: 0, unbilledTokens: 0, unbilledMs: 0, findings: [] };
}

export function addTally(sum: Tally, more: Tally): void {
  for (const field of ["requests", "whole", "broken", "recovered"] as const) sum[field] += more[field];
  for (const field of ["unbilledTokens", "unbilledMs"] as const) sum[field] = Math.max(sum[field], more[field]);
  sum.findings.push(...more.findings);
}

export function countFindings({ findings }: Tally, kind: Finding["kind"]): number {
  return findings.filter((finding) => finding.kind === kind).length;
}
