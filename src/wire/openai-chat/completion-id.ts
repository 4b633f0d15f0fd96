/** Derives the id of a completion from the gateway's request id, so that either leads to the usage row. */
export function completionId(requestId: string): string {
  return `chatcmpl-${requestId.startsWith("req_") ? requestId.slice("req_".length) : requestId}`;
}
