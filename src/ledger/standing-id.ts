/** How a standing hold is told from a request's, wherever holds are seen by their ids; 0006_standing_holds.sql knows it, too. */
import { randomUUID } from "node:crypto";

const STANDING = "standing-";

export function newStandingId(): string {
  return STANDING + randomUUID();
}

export function isStanding(requestId: string): boolean {
  return requestId.startsWith(STANDING);
}
