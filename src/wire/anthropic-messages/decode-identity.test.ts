import { describe, expect, it } from "vitest";
import { decodeIdentity } from "./decode-identity.ts";

const uuid = "1f0e2d3c-0000-4000-8000-000000000000";
const ofUser = (user_id: unknown) => decodeIdentity({ metadata: { user_id } }, {});

describe("decodeIdentity", () => {
  it("reads Claude Code's headers before its metadata", () => {
    expect(
      decodeIdentity(
        { metadata: { user_id: '{"session_id":"other"}' } },
        {
          "x-claude-code-session-id": uuid,
          "x-claude-code-agent-id": "agent-1",
          "x-claude-code-parent-agent-id": "agent-0",
        },
      ),
    ).toEqual({ session: uuid, agent: "agent-1", parentAgent: "agent-0" });
  });

  it("reads the metadata of each version", () => {
    expect(ofUser(JSON.stringify({ device_id: "d", account_uuid: "", session_id: uuid }))).toEqual({ session: uuid });
    expect(ofUser(`user_0a1b_account__session_${uuid}`)).toEqual({ session: uuid });
  });

  it("reads OpenCode's headers", () => {
    expect(decodeIdentity({}, { "x-session-affinity": "ses_1" })).toEqual({ session: "ses_1" });
    expect(decodeIdentity({}, { "x-session-affinity": "ses_1", "x-session-id": "ses_2" })).toEqual({
      session: "ses_2",
    });
    expect(decodeIdentity({}, { "x-session-id": ["ses_3", "ses_4"] })).toEqual({ session: "ses_3" });
  });

  it("finds none in anything else, and never refuses", () => {
    for (const user of ["me@example.test", "{", "{}", '{"session_id":7}', 7, null, {}, "{".repeat(10_000)])
      expect(ofUser(user)).toEqual({});
    for (const metadata of [null, 3, "x", []]) expect(decodeIdentity({ metadata }, {})).toEqual({});
    expect(decodeIdentity({}, { "x-session-id": "a b\u0007" })).toEqual({});
    expect(decodeIdentity({}, { "x-session-id": "x".repeat(5000) })).toEqual({});
  });
});
