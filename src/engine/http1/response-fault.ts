/** What may be wrong with a response as HTTP; `transport-error.ts` knows what that means for a client. */

export type Fault =
  /** Not HTTP/1, or not as RFC 9112 has it. */
  | "malformed"
  | "head-too-large"
  /** The connection closed before the response was complete. */
  | "closed";

export class ResponseFault extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, where?: string) {
    super(where === undefined ? fault : `${fault}: ${where}`);
    this.name = "ResponseFault";
    this.fault = fault;
  }
}
