import * as fc from "fast-check";
import { expect, it } from "vitest";
import { httpReader } from "./http-reader.ts";

const WIRE = Buffer.from(
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" +
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n world\r\n1\r\n!\r\n0\r\n\r\n" +
    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n" +
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n",
);
const MESSAGES = ["200 OK:hello", "200 OK: world!", "204 No Content:", "200 OK:ok"];

it("reads the same messages however the bytes are split", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(WIRE.length), { maxLength: 12 }), (cuts) => {
      const messages: string[] = [];
      let open = "";
      const feed = httpReader({
        onHead: (head) => (open = `${head.slice(9, head.indexOf("\r\n"))}:`),
        onBody: (piece) => (open += piece.toString("latin1")),
        onEnd: () => messages.push(open),
      });
      const edges = [0, ...cuts.sort((a, b) => a - b), WIRE.length];
      for (const [index, edge] of edges.slice(1).entries()) feed(WIRE.subarray(edges[index], edge));
      expect(messages).toEqual(MESSAGES);
    }),
  );
});
