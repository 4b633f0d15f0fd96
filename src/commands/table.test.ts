import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { printable, renderTable } from "./table.ts";

beforeEach(() => {
  vi.stubEnv("FORCE_COLOR", undefined);
  vi.stubEnv("NO_COLOR", "1");
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe("renderTable", () => {
  it("stands numbers right with separators, text left, and ends with totals", () => {
    const text = renderTable({
      columns: [{ title: "TENANT" }, { title: "OUTPUT" }, { title: "NOTE" }],
      rows: [
        ["acme", 1_234_567, "a"],
        ["zeta-long", 5, null],
      ],
      totals: ["total", 1_234_572, ""],
    });
    expect(text.split("\n")).toEqual([
      "TENANT        OUTPUT  NOTE",
      "─────────  ─────────  ────",
      "acme       1,234,567  a",
      "zeta-long          5  –",
      "─────────  ─────────  ────",
      "total      1,234,572",
      "",
    ]);
  });

  it("leaves out spare columns where there is no room, and says which", () => {
    const table = {
      columns: [{ title: "A" }, { title: "SPARE", spare: 2 }, { title: "FIRST", spare: 1 }, { title: "B" }],
      rows: [["1234567", 10, 20, "x"]],
      totals: ["all", 10, 20, ""],
    };
    expect(renderTable(table, 24).split("\n")).toHaveLength(6);
    expect(renderTable(table, 24)).toBe(renderTable(table, Infinity));
    expect(renderTable(table, 23).split("\n")).toEqual([
      "A        SPARE  B",
      "───────  ─────  ─",
      "1234567     10  x",
      "───────  ─────  ─",
      "all         10",
      "Not shown, for lack of room (--json has all): FIRST",
      "",
    ]);
    // What is not spare stays, however narrow.
    expect(renderTable(table, 3)).toContain("A        B\n");
    expect(renderTable(table, 3)).toContain("all): FIRST, SPARE\n");
  });

  it("lines up wide characters and combining marks", () => {
    const lines = renderTable({
      columns: [{ title: "NAME" }, { title: "N" }],
      rows: [
        ["日本", 1],
        ["u\u0308b", 2],
        ["abcd", 3],
      ],
    }).split("\n");
    expect(lines.slice(2, 5)).toEqual(["日本  1", "u\u0308b    2", "abcd  3"]);
  });

  it("cuts what is too long, and a column may be told where to stand", () => {
    const lines = renderTable({
      columns: [
        { title: "ID", most: 6 },
        { title: "WINDOW", align: "right" },
      ],
      rows: [["0123456789", "8,192"]],
    }).split("\n");
    expect(lines[2]).toBe("01234…   8,192");
  });

  it("has a bold head where colour is wanted", () => {
    vi.stubEnv("NO_COLOR", undefined);
    vi.stubEnv("FORCE_COLOR", "1");
    expect(renderTable({ columns: [{ title: "A" }], rows: [["x"]] })).toBe(
      "\u001B[1mA\u001B[22m\n\u001B[2m─\u001B[22m\nx\n",
    );
  });

  it("lets no cell move the cursor", () => {
    const text = renderTable({ columns: [{ title: "S" }], rows: [["\u001B[2J\u202Eabc\r\n"]] });
    expect(text.split("\n")[2]).toBe("\uFFFD[2J\uFFFDabc\uFFFD\uFFFD");
  });
});

describe("printable", () => {
  it("leaves text alone", () => {
    expect(printable("Müller – 日本 🦀")).toBe("Müller – 日本 🦀");
  });
});
