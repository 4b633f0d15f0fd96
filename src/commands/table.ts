/** Draws tables for people: aligned, numbers right with thousands separators, a line of totals; colour only where it is wanted. */
import { stripVTControlCharacters, styleText } from "node:util";

export type Cell = string | number | null;
export type Column = {
  title: string;
  /** Cells longer than this are cut, with an ellipsis. */
  most?: number;
  /** By default a column with numbers stands right. */
  align?: "left" | "right";
  /** Columns with one are left out where the terminal is too narrow, the lowest first. */
  spare?: number;
};

export type Table = {
  columns: readonly Column[];
  rows: readonly (readonly Cell[])[];
  /** One line under the rows, as long as a row. */
  totals?: readonly Cell[];
};

/** Between two columns. */
export const GAP = "  ";

/**
 * Lines end with a newline. Numbers stand right, everything else left; null is a dash. `room` is the terminal's width; a line under the
 * table names the columns that did not fit.
 */
export function renderTable(table: Table, room = process.stdout.isTTY ? process.stdout.columns : Infinity): string {
  const left: string[] = [];
  for (let shown = table; ;) {
    const text = draw(shown);
    const lowest = Math.min(...shown.columns.map(({ spare }) => spare ?? Infinity));
    if (lowest === Infinity || widest(text) <= room)
      return left.length === 0 ? text : `${text}Not shown, for lack of room (--json has all): ${left.join(", ")}\n`;
    const gone = shown.columns.findIndex(({ spare }) => spare === lowest);
    left.push(shown.columns[gone]?.title ?? "");
    shown = withoutColumn(shown, gone);
  }
}

/** Of its lines, in columns of the terminal. */
function widest(text: string): number {
  return Math.max(...stripVTControlCharacters(text).split("\n").map(textWidth));
}

function withoutColumn({ columns, rows, totals }: Table, gone: number): Table {
  return {
    columns: columns.toSpliced(gone, 1),
    rows: rows.map((row) => row.toSpliced(gone, 1)),
    ...(totals !== undefined && { totals: totals.toSpliced(gone, 1) }),
  };
}

function draw({ columns, rows, totals }: Table): string {
  const lines = totals === undefined ? rows : [...rows, totals];
  const right = columns.map(({ align }, index) =>
    align === undefined ? lines.some((line) => typeof line[index] === "number") : align === "right",
  );
  const texts = lines.map((line) => columns.map(({ most }, index) => show(line[index] ?? null, most)));
  const widths = columns.map(({ title }, index) =>
    Math.max(textWidth(title), ...texts.map((line) => textWidth(line[index] ?? ""))),
  );
  const titles = columns.map(({ title }) => title);
  const body = texts.map((line) => lineOf(line, widths, right));
  if (totals !== undefined) body.splice(-1, 0, ruleOf(widths));
  return `${[...headOf(titles, widths, right), ...body].join("\n")}\n`;
}

/** The line of titles, and the rule below it. */
export function headOf(titles: readonly string[], widths: readonly number[], right: readonly boolean[] = []): string[] {
  return [styleText("bold", lineOf(titles, widths, right)), ruleOf(widths)];
}

function ruleOf(widths: readonly number[]): string {
  return styleText("dim", widths.map((width) => "─".repeat(width)).join(GAP));
}

/** Texts in columns of these widths, coloured or not; `right`: which of them stand right. */
export function lineOf(texts: readonly string[], widths: readonly number[], right: readonly boolean[] = []): string {
  return texts
    .map((text, index) => {
      const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - textWidth(stripVTControlCharacters(text))));
      return right[index] === true ? space + text : text + space;
    })
    .join(GAP)
    .trimEnd();
}

function show(cell: Cell, most = Infinity): string {
  if (cell === null) return "–";
  if (typeof cell === "number") return cell.toLocaleString("en-US");
  const text = printable(cell);
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).toWellFormed()}…`;
}

/** Names and session ids come from clients: none may move the cursor or change colours. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\uFFFD");
}

/** Columns that a terminal gives to a text: two for East Asian wide characters and emoji, none for combining marks. */
function textWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1F64F}\u{1F680}-\u{1F6FF}\u{1F900}-\u{1F9FF}\u{20000}-\u{3FFFD}]/u;
