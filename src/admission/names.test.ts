import { describe, expect, it } from "vitest";
import { validName } from "./names.ts";

describe("validName", () => {
  it.each(["acme", "Müller & Co".replace("&", "+"), "team-a/ci", "a", "日本", "x@example.org", "a".repeat(100)])(
    "takes %s",
    (name) => {
      expect(validName("tenant", name)).toBe(name.normalize("NFC"));
    },
  );

  it("takes two spellings of the same text for one name", () => {
    expect(validName("tenant", "Mu\u0308ller")).toBe("M\u00FCller");
  });

  it.each(["ten_0123456789abcdefghjkmnpq", "ten_0123456789abcdef"])(
    "refuses %s, which looks like a tenant's id",
    (name) => {
      expect(() => validName("tenant", name)).toThrow("looks like a tenant's id");
      expect(validName("key", name)).toBe(name);
    },
  );

  it.each(["ten_", "ten_pins", "ten_0123456789abcdefghjkmnpq.", "TEN_0123456789ABCDEFGHJKMNPQ"])("takes %s", (name) => {
    expect(validName("tenant", name)).toBe(name);
  });

  it.each(["", " a", "a ", "-a", "a\nb", "a\u001B[31m", "a'b", "a;b", "\u202Ea", "a".repeat(101)])(
    "refuses %j",
    (name) => {
      expect(() => validName("key", name)).toThrow(expect.objectContaining({ code: "invalid_request", param: "name" }));
    },
  );
});
