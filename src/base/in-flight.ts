/**
 * Those of something that are in flight now, in no order: what a Set of them would be, without keeping the ended ones alive.
 *
 * A Set whose members come and go is copied into a new table every few dozen changes, and the table before it points to the new one and to
 * all that was in flight then: once one of them is in the old generation, the next ones may follow, with requests long ended, until a full
 * collection. See decisions/0113-nothing-outlives-its-request.md.
 */

/** Knows its own place, so that it is found without a search. */
export interface Placed {
  /** -1 while it is not in flight. Only `InFlight` writes it. */
  place: number;
}

export class InFlight<T extends Placed> {
  /** Beyond `#size` there is nothing. Never made shorter: growing again would leave a copy behind. */
  readonly #members: (T | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#size;
    this.#members[this.#size++] = member;
  }

  /** False if it was not in flight. */
  delete(member: T): boolean {
    const { place } = member;
    if (place < 0) return false;
    member.place = -1;
    const last = this.#members[--this.#size]!;
    this.#members[this.#size] = undefined;
    if (last !== member) {
      last.place = place;
      this.#members[place] = last;
    }
    return true;
  }

  /**
   * Calls `visit` for each that was in flight at the start and still is. Any of them may end meanwhile, or new ones begin; one that is
   * there throughout may then be visited twice.
   */
  forEach(visit: (member: T) => void): void {
    for (let place = this.#size - 1; place >= 0; place--) {
      const member = this.#members[place];
      if (member !== undefined) visit(member);
    }
  }
}
