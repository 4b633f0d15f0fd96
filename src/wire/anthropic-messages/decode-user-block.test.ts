import { describe, expect, it } from "vitest";
import { decoded, messages, userContent } from "./__fixtures__/decode.ts";

const user = (content: unknown) => ({ role: "user", content });

describe("user content", () => {
  it("is a string or blocks, to the same effect", () => {
    expect(messages(user("hi"))).toEqual(messages(user([{ type: "text", text: "hi", citations: null }])));
    expect(messages(user(["hi"]))).toEqual(messages(user("hi")));
  });

  it("has images from each source", () => {
    const base64 = { type: "base64", media_type: "image/png", data: "aGk=" };
    expect(
      userContent(
        { type: "image", source: base64 },
        { type: "image", source: { type: "url", url: "https://x.test/a.png" } },
        { type: "image", source: { type: "file", file_id: "file_1" } },
      ),
    ).toEqual([
      { type: "image", source: { kind: "base64", mediaType: "image/png", data: "aGk=" } },
      { type: "image", source: { kind: "url", url: "https://x.test/a.png" } },
      { type: "text", text: expect.stringContaining("image file_1") },
    ]);
  });

  it("has documents from each source", () => {
    const document = (source: unknown) => ({
      type: "document",
      title: "T",
      context: "C",
      source,
      citations: { enabled: true },
    });
    const part = (source: unknown) => ({ type: "document", title: "T", context: "C", source });
    expect(
      userContent(
        document({ type: "text", media_type: "text/plain", data: "words" }),
        document({ type: "base64", media_type: "application/pdf", data: "JVBERi0=" }),
        document({ type: "base64", media_type: "text/markdown", data: Buffer.from("# Ü").toString("base64") }),
        document({ type: "url", url: "https://x.test/a.pdf" }),
        document({ type: "content", content: "plain" }),
        document({
          type: "content",
          content: [
            { type: "text", text: "one" },
            { type: "text", text: "two" },
            { type: "image", source: { type: "url", url: "https://x.test/b.png" } },
            { type: "text", text: "three" },
          ],
        }),
      ),
    ).toEqual([
      part({ kind: "text", text: "words" }),
      part({ kind: "pdf", data: "JVBERi0=" }),
      part({ kind: "text", text: "# Ü" }),
      part({ kind: "url", url: "https://x.test/a.pdf" }),
      part({ kind: "text", text: "plain" }),
      part({ kind: "text", text: "one\ntwo" }),
      { type: "image", source: { kind: "url", url: "https://x.test/b.png" } },
      part({ kind: "text", text: "three" }),
    ]);
  });

  it("says where a document cannot be read", () => {
    const request = decoded({
      messages: [
        user([
          { type: "document", source: { type: "file", file_id: "file_9" } },
          { type: "document", source: { type: "base64", media_type: "application/msword", data: "AAAA" } },
        ]),
      ],
    });
    expect(request.messages[0]!.content).toMatchObject([
      { type: "text", text: expect.stringContaining("file_9") },
      { type: "text", text: expect.stringContaining("application/msword") },
    ]);
    expect(request.ignored).toEqual(["source:file", "source:application_msword"]);
  });

  it("has search results as text", () => {
    const content = [{ type: "text", text: "Evener shares." }];
    expect(userContent({ type: "search_result", title: "Docs", source: "https://x.test", content })).toEqual([
      { type: "text", text: "Docs\nhttps://x.test\n\nEvener shares." },
    ]);
  });

  it("keeps a block of an unknown type as text, without what moves between turns", () => {
    const block = { type: "hologram", depth: 3, cache_control: { type: "ephemeral" } };
    const request = decoded({ messages: [user([block])] });
    expect(request.messages[0]!.content).toEqual([{ type: "text", text: '[hologram] {"type":"hologram","depth":3}' }]);
    expect(request.ignored).toEqual(["block:hologram"]);
  });
});

describe("tool results", () => {
  const result = (content: unknown, more = {}) =>
    userContent({ type: "tool_result", tool_use_id: "t1", content, ...more })[0];

  it("are strings or parts, to the same effect", () => {
    const expected = { type: "tool-result", callId: "t1", content: [{ type: "text", text: "ok" }], isError: false };
    expect(result("ok")).toEqual(expected);
    expect(result([{ type: "text", text: "ok" }], { is_error: false })).toEqual(expected);
  });

  it("may be empty, missing, or failed", () => {
    for (const content of ["", [], null, undefined]) expect(result(content)).toMatchObject({ content: [] });
    expect(result("no such file", { is_error: true })).toMatchObject({ isError: true });
  });

  it("hold every kind of part", () => {
    expect(
      result([
        { type: "text", text: "a" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "d" } },
        { type: "tool_reference", tool_name: "WebFetch" },
        { type: "search_result", title: "T", source: "S", content: [{ type: "text", text: "b" }] },
        { type: "browser_state", tabs: [] },
      ]),
    ).toMatchObject({
      content: [
        { type: "text", text: "a" },
        { type: "image" },
        { type: "document", source: { kind: "text", text: "d" } },
        { type: "tool-reference", name: "WebFetch" },
        { type: "text", text: "T\nS\n\nb" },
        { type: "text", text: '[browser_state] {"type":"browser_state","tabs":[]}' },
      ],
    });
  });

  it("keep the order in which they came, whatever the order of the calls", () => {
    const content = ["t2", "t1"].map((id) => ({ type: "tool_result", tool_use_id: id, content: id }));
    expect(userContent(...content)).toMatchObject([{ callId: "t2" }, { callId: "t1" }]);
  });
});
