import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeModel, encodeModelList, type ListedModel, speaksAnthropic } from "./model-list.ts";

const own: ListedModel = {
  id: "qwen3",
  displayName: "Qwen 3",
  contextWindow: 131_072,
  created: 1_795_360_337,
  alias: false,
};
const alias: ListedModel = { ...own, id: "claude-qwen3", alias: true };

type AnthropicList = { data: { id: string }[]; has_more: boolean; first_id: string | null; last_id: string | null };
const page = (models: ListedModel[], query: Record<string, string>) =>
  encodeModelList(models, true, query) as AnthropicList;

describe("which shape", () => {
  it.each([
    [{ "anthropic-version": "2023-06-01" }],
    [{ "x-api-key": "k" }],
    [{ "user-agent": "claude-code/2.1.197" }],
    [{ "user-agent": "claude-cli/2.1.197 (external, cli)" }],
    [{ "user-agent": "Anthropic/Python 0.60.0" }],
  ])("%j is Anthropic's", (headers) => {
    expect(speaksAnthropic(headers)).toBe(true);
  });

  it.each([
    [{}],
    [{ authorization: "Bearer k", "user-agent": "OpenAI/JS 6.49.0" }],
    [{ "user-agent": "claude-codependent/1" }],
    [{ "user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.23 runtime/bun/1.3.14" }],
  ])("%j is OpenAI's", (headers) => {
    expect(speaksAnthropic(headers)).toBe(false);
  });
});

describe("OpenAI's shape", () => {
  it("lists each model once, with its window under both names", () => {
    expect(encodeModelList([own, alias], false, { limit: "nonsense" })).toEqual({
      object: "list",
      data: [
        {
          id: "qwen3",
          object: "model",
          created: 1_795_360_337,
          owned_by: "evener",
          name: "Qwen 3",
          max_model_len: 131_072,
          context_window: 131_072,
        },
      ],
    });
  });

  it("gives an alias when asked for it by name, and leaves out a window that is not known", () => {
    const { contextWindow: _, ...unknown } = alias;
    expect(encodeModel(unknown, false)).toEqual({
      id: "claude-qwen3",
      object: "model",
      created: 1_795_360_337,
      owned_by: "evener",
      name: "Qwen 3",
    });
  });
});

describe("Anthropic's shape", () => {
  it("lists own names and aliases", () => {
    const model = {
      type: "model",
      display_name: "Qwen 3",
      created_at: "2026-11-22T15:12:17Z",
      max_input_tokens: 131_072,
    };
    expect(page([own, alias], { limit: "1000" })).toEqual({
      data: [
        { ...model, id: "qwen3" },
        { ...model, id: "claude-qwen3" },
      ],
      has_more: false,
      first_id: "qwen3",
      last_id: "claude-qwen3",
    });
  });

  it("is complete when empty", () => {
    expect(page([], {})).toEqual({ data: [], has_more: false, first_id: null, last_id: null });
  });

  it.each([
    [{ limit: "0" }, "limit"],
    [{ limit: "1001" }, "limit"],
    [{ limit: "ten" }, "limit"],
    [{ after_id: "nobody" }, "after_id"],
    [{ before_id: "nobody" }, "before_id"],
    [{ after_id: "qwen3", before_id: "qwen3" }, "after_id"],
  ])("refuses %j", (query, param) => {
    expect(() => page([own], query)).toThrow(expect.objectContaining({ code: "invalid_request", param }));
  });

  it("pages forwards and backwards through every model, once each", () => {
    const list = fc
      .uniqueArray(fc.nat(), { minLength: 1, maxLength: 60 })
      .map((ids) => ids.map((id): ListedModel => ({ id: `m${id}`, displayName: "M", created: 0, alias: false })));
    fc.assert(
      fc.property(list, fc.integer({ min: 1, max: 20 }), (models, limit) => {
        const ids = models.map((model) => model.id);
        const forwards: string[] = [];
        let next = page(models, { limit: String(limit) });
        for (;;) {
          forwards.push(...next.data.map((model) => model.id));
          if (!next.has_more || next.last_id === null) break;
          next = page(models, { limit: String(limit), after_id: next.last_id });
        }
        expect(forwards).toEqual(ids);
        const backwards: string[] = [];
        let previous = page(models, { limit: String(limit), before_id: ids.at(-1)! });
        for (;;) {
          backwards.unshift(...previous.data.map((model) => model.id));
          if (!previous.has_more || previous.first_id === null) break;
          previous = page(models, { limit: String(limit), before_id: previous.first_id });
        }
        expect(backwards).toEqual(ids.slice(0, -1));
      }),
    );
  });
});
