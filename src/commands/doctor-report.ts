/** What `evener doctor` prints for people: rows that come one after the other, cut into lines that fit, and the matrix of tool calls. */
import { styleText } from "node:util";
import { CHECKS, type Finding, type Result } from "../doctor/finding.ts";
import { type Cell, THINKING } from "../doctor/tool-matrix.ts";
import { GAP, headOf, lineOf, printable } from "./table.ts";

const CHECK_WIDTH = Math.max(...Object.values(CHECKS).map((name) => name.length));
/** Narrower terminals break the lines themselves. */
const LEAST_ROOM = 70;
const RESULT_WIDTH = "warning".length;

/** Of what checks and results leave, the findings get a little more than the half. */
function widths(room: number): readonly [number, number, number, number] {
  const check = Math.min(CHECK_WIDTH, Math.floor(room / 4));
  const left = room - check - RESULT_WIDTH - 3 * GAP.length;
  const found = Math.round(left * 0.55);
  return [check, RESULT_WIDTH, found, left - found];
}

/** `room`: columns of the terminal. Lines end with a newline. */
export function reportHead(room: number): string {
  const sizes = widths(Math.max(room, LEAST_ROOM));
  const titles = ["CHECK", "RESULT", "FOUND", "WHAT TO DO"];
  return `${headOf(titles, sizes).join("\n")}\n`;
}

export function reportRows(findings: readonly Finding[], room: number): string {
  const sizes = widths(Math.max(room, LEAST_ROOM));
  return findings
    .map(({ id, result, found, advice }) => {
      const cells = [CHECKS[id], result, found, advice ?? ""].map((text, index) =>
        wrap(printable(text), sizes[index] ?? 1),
      );
      const height = Math.max(...cells.map((lines) => lines.length));
      return Array.from({ length: height }, (_, line) => {
        const texts = cells.map((lines) => lines[line] ?? "");
        return `${lineOf(texts.with(1, coloured(result, texts[1] ?? "")), sizes)}\n`;
      }).join("");
    })
    .join("");
}

const MATRIX_TITLES = ["TOOL CALLS", ...THINKING.map((thinking) => `THINKING ${thinking.toUpperCase()}`)];
/** Wide enough for each outcome, because rows are printed before the next are known. */
const MATRIX_WIDTHS = MATRIX_TITLES.map((title, column) => Math.max(title.length, column === 0 ? 18 : 14));

/** Above the matrix of ways to ask against thinking. */
export function matrixHead(): string {
  return `\n${headOf(MATRIX_TITLES, MATRIX_WIDTHS).join("\n")}\n`;
}

/** The two rows of one way to ask; a cell says what became of the call. */
export function matrixRows(cells: readonly Cell[]): string {
  return [false, true]
    .map((streamed) => {
      const row = cells.filter((cell) => cell.streamed === streamed);
      const outcomes = THINKING.map((thinking) => {
        const cell = row.find((one) => one.thinking === thinking);
        return cell === undefined ? "" : coloured(cell.result, cell.outcome);
      });
      const title = `${row[0]?.choice ?? ""}, ${streamed ? "streamed" : "whole"}`;
      return `${lineOf([title, ...outcomes], MATRIX_WIDTHS)}\n`;
    })
    .join("");
}

/** By words; a word that is longer than the line is cut. Flags stay whole, to be copied. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  const words = text.split(" ").flatMap((whole) => (whole.startsWith("--") ? whole : pieces(whole, width)));
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function pieces(word: string, width: number): string[] {
  const all: string[] = [];
  for (let start = 0; start < word.length; start += width) all.push(word.slice(start, start + width));
  return all;
}

const COLOURS = { ok: "green", warning: "yellow", bad: "red", unknown: "dim" } as const;

function coloured(result: Result, text: string): string {
  return text === "" ? "" : styleText(COLOURS[result], text);
}
