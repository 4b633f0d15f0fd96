import { describe, expect, it } from "vitest";
import { StoreError, isDataError, isStoreAway, isUnreadable, tlsProblem } from "./store-error.ts";

function withCode(code: string): Error {
  return Object.assign(new Error("x"), { code });
}

describe("isStoreAway", () => {
  it.each([
    ...[
      "ECONNREFUSED",
      "ECONNRESET",
      "ENOTFOUND",
      "57P01",
      "57P03",
      "57014",
      "08006",
      "53300",
      "53100",
      "58030",
      "25006",
    ].map((code) => withCode(code)),
    new Error("Connection terminated unexpectedly"),
    new Error("timeout exceeded when trying to connect"),
    new Error("Query read timeout"),
    new AggregateError([withCode("ECONNREFUSED"), withCode("ECONNREFUSED")]),
    new StoreError("unavailable", "x"),
  ])("is true of %s", (error) => {
    expect(isStoreAway(error)).toBe(true);
  });

  it.each([withCode("23505"), withCode("42601"), new Error("x"), new StoreError("locked", "x"), "x", undefined])(
    "is false of %s",
    (error) => {
      expect(isStoreAway(error)).toBe(false);
    },
  );
});

describe("isDataError", () => {
  it("is true of what one row did", () => {
    expect(["22P02", "22003", "23514", "23505"].map((code) => isDataError(withCode(code)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });
  it("is false of everything else", () => {
    expect([isDataError(withCode("42601")), isDataError(withCode("ECONNRESET")), isDataError(undefined)]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe("isUnreadable", () => {
  it("is true of text and times that are none, and of nothing else", () => {
    expect(["22021", "22007", "22008", "22009"].map((code) => isUnreadable(withCode(code)))).toEqual(
      Array(4).fill(true),
    );
    const others = [withCode("22003"), withCode("23505"), withCode("ECONNRESET"), new Error("x"), "22021"];
    expect(others.map(isUnreadable)).toEqual(Array(5).fill(false));
  });
});

describe("tlsProblem", () => {
  it("says what is wrong with the server's TLS, and of nothing else", () => {
    expect(tlsProblem(new Error("The server does not support SSL connections"))).toMatch(/^has no TLS/);
    for (const code of ["SELF_SIGNED_CERT_IN_CHAIN", "ERR_TLS_CERT_ALTNAME_INVALID", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"])
      expect(tlsProblem(withCode(code))).toMatch(/^has a certificate that is not accepted: x; .*sslrootcert/);
    expect([withCode("ECONNRESET"), withCode("42601"), new Error("x"), "x"].map(tlsProblem)).toEqual(
      Array(4).fill(undefined),
    );
  });
});
