import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SecretError, gatewaySecret, loadSecret } from "./secret.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "evener-secret-"));
});
afterEach(() => {
  chmodSync(dataDir, 0o700);
  rmSync(dataDir, { recursive: true, force: true });
});

describe("loadSecret", () => {
  it("makes a secret of its own once, for its owner alone", () => {
    const nested = join(dataDir, "data");
    const first = loadSecret({ dataDir: nested });
    const file = join(nested, "secret");
    expect(first.source).toBe(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(Buffer.from(readFileSync(file, "utf8").trim(), "base64url")).toHaveLength(32);
    expect(loadSecret({ dataDir: nested }).derive("key pepper")).toEqual(first.derive("key pepper"));
  });

  it("takes EVENER_SECRET before the file, and leaves no file then", () => {
    const secret = loadSecret({ dataDir, value: "x".repeat(32) });
    expect(secret.source).toBe("EVENER_SECRET");
    expect(() => statSync(join(dataDir, "secret"))).toThrow("ENOENT");
    expect(loadSecret({ dataDir, value: "" }).source).toBe(join(dataDir, "secret"));
  });

  it("refuses what can be guessed", () => {
    expect(() => loadSecret({ dataDir, value: "changeme" })).toThrow(/EVENER_SECRET is shorter than 32/);
    writeFileSync(join(dataDir, "secret"), "");
    expect(() => loadSecret({ dataDir })).toThrow(/shorter than 32 characters/);
  });
});

it("says which secret file cannot be read", () => {
  mkdirSync(join(dataDir, "secret"));
  expect(() => loadSecret({ dataDir })).toThrow(SecretError);
  expect(() => loadSecret({ dataDir })).toThrow(`cannot read the secret file ${join(dataDir, "secret")}: EISDIR`);
});

describe("derive", () => {
  it("gives each purpose and each secret a key of its own", () => {
    const [a, b] = [gatewaySecret("a".repeat(32), "a"), gatewaySecret("b".repeat(32), "b")];
    const derived = [
      a.derive("key pepper"),
      a.derive("reasoning signature"),
      a.derive("cache salt"),
      b.derive("key pepper"),
    ];
    expect(derived.every((key) => key.length === 32)).toBe(true);
    expect(new Set(derived.map((key) => key.toString("hex"))).size).toBe(4);
  });
});
