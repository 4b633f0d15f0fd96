import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResponseFault } from "./response-fault.ts";
import { ResponseReader } from "./response-reader.ts";

type Answer = { status: number; body: string; keepMs: number | undefined };

/** Reads what was asked for; a request follows each answer, as on a kept connection. */
function read(pieces: readonly Buffer[], asked = 1): { answers: Answer[]; fault?: string; whole: boolean } {
  const answers: Answer[] = [];
  let open = { status: 0, body: "" };
  const reader = new ResponseReader({
    onHead: (status) => (open = { status, body: "" }),
    onBody: (bytes) => (open.body += bytes.toString("latin1")),
    onEnd(keepMs) {
      answers.push({ ...open, keepMs });
      if (answers.length < asked) reader.expect();
    },
  });
  reader.expect();
  try {
    for (const piece of pieces) reader.push(Buffer.from(piece));
    return { answers, whole: reader.close() };
  } catch (error) {
    if (!(error instanceof ResponseFault)) throw error;
    return { answers, fault: error.fault, whole: false };
  }
}

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;
const latin1 = (text: string) => [Buffer.from(text, "latin1")];
const bodyOf = (text: string) => read(latin1(text)).answers[0]?.body;
const faultOf = (text: string) => read(latin1(text)).fault;

describe("a body", () => {
  it("has the length that its head says", () => {
    expect(read(latin1(`${OK}Content-Length: 5\r\n\r\nhello`))).toEqual({
      answers: [{ status: 200, body: "hello", keepMs: undefined }],
      whole: true,
    });
    expect(bodyOf(`${OK}content-length: 5, 5\r\n\r\nhello`)).toBeUndefined();
    expect(bodyOf(`${OK}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`)).toBe("hello");
    expect(bodyOf(`${OK}content-length: 000\r\n\r\n`)).toBe("");
    expect(bodyOf("HTTP/1.1 204 No Content\r\n\r\n")).toBe("");
    expect(bodyOf("HTTP/1.1 304\r\ncontent-length: 9\r\n\r\n")).toBe("");
  });

  it("comes in chunks, with extensions and trailers", () => {
    expect(bodyOf(`${CHUNKED}6\r\nhello \r\n00B;a="b"\r\nbig, wide wo\r\n`)).toBeUndefined();
    expect(bodyOf(`${CHUNKED}6\r\nhello \r\n00B;a="b"\r\nbig, wide w\r\n4 \r\norld\r\n0\r\nx-y: z\r\n\r\n`)).toBe(
      "hello big, wide world",
    );
    expect(bodyOf(`${CHUNKED}0\r\n\r\n`)).toBe("");
  });

  it("is handed on in one piece where it was read in one", () => {
    const pieces: string[] = [];
    const reader = new ResponseReader({
      onHead() {},
      onBody: (bytes) => pieces.push(bytes.toString("latin1")),
      onEnd: () => pieces.push("end"),
    });
    reader.expect();
    reader.push(Buffer.from(`${CHUNKED}1\r\na\r\n2\r\nbc\r\n3\r\nd`));
    reader.push(Buffer.from("ef\r\n0\r\n\r\n"));
    expect(pieces).toEqual(["abcd", "ef", "end"]);
  });

  it("goes on until the connection closes where nothing else is said, and is cut where something is", () => {
    expect(read(latin1(`${OK}\r\nhello`))).toEqual({
      answers: [{ status: 200, body: "hello", keepMs: 0 }],
      whole: true,
    });
    expect(read(latin1(`${OK}content-length: 6\r\n\r\nhello`))).toEqual({ answers: [], whole: false });
    expect(read(latin1(`${CHUNKED}5\r\nhello\r\n`))).toEqual({ answers: [], whole: false });
    expect(read(latin1("HTTP/1.1 200 OK\r\ncontent-")).whole).toBe(false);
  });

  it("follows 1xx, of which nobody hears", () => {
    expect(
      bodyOf(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${OK}content-length: 1\r\n\r\na`),
    ).toBe("a");
  });
});

describe("the connection after it", () => {
  const keep = (head: string) => read(latin1(`${head}content-length: 1\r\n\r\na`)).answers[0]?.keepMs;

  it.each([
    ["is kept in HTTP/1.1", OK, undefined],
    ["is closed in HTTP/1.0", "HTTP/1.0 200 OK\r\n", 0],
    ["is kept in HTTP/1.0 when the server says so", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", undefined],
    ["is closed when the server says so", `${OK}Connection: close\r\n`, 0],
    ["is kept a little less long than the server says", `${OK}Keep-Alive: timeout=5, max=100\r\n`, 4_000],
    ["is not kept for a second", `${OK}Keep-Alive: timeout=1\r\n`, 0],
    ["is closed when length and chunks are both claimed", `${OK}transfer-encoding: chunked\r\n`, undefined],
  ])("%s", (what, head, keepMs) => {
    if (what.includes("both"))
      expect(read(latin1(`${head}content-length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n`)).answers).toEqual([
        { status: 200, body: "a", keepMs: 0 },
      ]);
    else expect(keep(head)).toBe(keepMs);
  });

  it("is not used again with bytes on it that nobody asked for", () => {
    expect(read(latin1(`${OK}content-length: 1\r\n\r\nab`))).toEqual({
      answers: [{ status: 200, body: "a", keepMs: 0 }],
      fault: "malformed",
      whole: false,
    });
  });
});

describe("what is refused", () => {
  it.each([
    "SSH-2.0-x\r\n\r\n",
    "HTTP/2 200\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 200OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    `${OK}no colon\r\n\r\n`,
    `${OK}: no name\r\n\r\n`,
    `${OK}a b: c\r\n\r\n`,
    `${OK}a: b\r\n folded\r\n\r\n`,
    `${OK}a: b\nc: d\r\n\r\n`,
    "HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
    `${OK}content-length: 5\r\n\nhello`,
    `${OK}a: b\n`,
    `${OK}content-length: -1\r\n\r\n`,
    `${OK}content-length: 1e3\r\n\r\n`,
    `${OK}content-length: 9999999999999999\r\n\r\n`,
    `${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`,
    `${OK}transfer-encoding: gzip, chunked\r\n\r\n`,
    `${OK}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`,
    `${CHUNKED}\r\n`,
    `${CHUNKED}x\r\n`,
    `${CHUNKED}-1\r\n`,
    `${CHUNKED}1\na\r\n0\r\n\r\n`,
    `${CHUNKED}1\r\nab\r\n0\r\n\r\n`,
    `${CHUNKED}1\r\na\n0\r\n\r\n`,
    `${CHUNKED}00000000000001\r\na\r\n`,
    `${CHUNKED}1;${"x".repeat(5_000)}\r\na\r\n`,
  ])("%j", (text) => {
    expect(faultOf(text)).toBe("malformed");
  });

  it("is a head, or trailers, of more than 64 KB", () => {
    expect(faultOf(`${OK}a: ${"x".repeat(70_000)}`)).toBe("head-too-large");
    expect(faultOf(`${OK}a: ${"x".repeat(70_000)}\r\n\r\n`)).toBe("head-too-large");
    expect(faultOf(`${CHUNKED}0\r\na: ${"x".repeat(70_000)}\r\n\r\n`)).toBe("head-too-large");
  });
});

const WIRE = Buffer.from(
  `${OK}Content-Length: 5\r\n\r\nhello${CHUNKED}6\r\n world\r\n1;x\r\n!\r\n0\r\n\r\n` +
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n${CHUNKED}2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n${OK}\r\nto the end`,
  "latin1",
);

describe("any bytes", () => {
  const cut = (wire: Buffer, cuts: readonly number[]) => {
    const edges = [0, ...cuts.map((at) => at % (wire.length + 1)).sort((a, b) => a - b), wire.length];
    return edges.slice(1).map((edge, index) => wire.subarray(edges[index], edge));
  };

  it("are the same answers however they are split", () => {
    const whole = read([WIRE], 5);
    expect(whole.answers.map(({ body }) => body)).toEqual(["hello", " world!", "", "ok", "to the end"]);
    // Bytes behind an answer in the same read leave its connection unused: how long it is kept may differ.
    const said = ({ answers, whole: complete }: ReturnType<typeof read>) => [
      ...answers.map(({ status, body }) => `${status} ${body}`),
      complete,
    ];
    fc.assert(
      fc.property(fc.array(fc.nat(WIRE.length), { maxLength: 30 }), (cuts) => {
        expect(said(read(cut(WIRE, cuts), 5))).toEqual(said(whole));
      }),
    );
    const bytes = Array.from({ length: WIRE.length }, (_, at) => WIRE.subarray(at, at + 1));
    expect(said(read(bytes, 5))).toEqual(said(whole));
  });

  it("that are broken end in a fault, a cut or an answer, the same however they are split", () => {
    const edits = fc.array(
      fc.tuple(fc.nat(WIRE.length), fc.nat(4), fc.constantFrom("", "0", "f", "\r", "\n", ":", "\0", " ")),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(edits, fc.array(fc.nat(WIRE.length), { maxLength: 20 }), (changes, cuts) => {
        let text = WIRE.toString("latin1");
        for (const [at, drop, put] of changes) text = text.slice(0, at) + put + text.slice(at + drop);
        const broken = Buffer.from(text, "latin1");
        const outcome = (pieces: Buffer[]) => {
          const { answers, fault, whole } = read(pieces, 5);
          return { bodies: answers.map(({ status, body }) => [status, body]), fault, whole };
        };
        expect(outcome(cut(broken, cuts))).toEqual(outcome([broken]));
      }),
      { numRuns: 1_000 },
    );
  });
});
