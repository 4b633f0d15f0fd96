/** Writes /v1/models in the two shapes that clients know, and decides which of them a client gets. */
import type { RequestHeaders } from "../conversation/codec.ts";
import { GatewayError } from "../conversation/errors.ts";

/** A name under which a model can be asked for. */
export type ListedModel = {
  id: string;
  displayName: string;
  /** Tokens that prompt and answer may have together. */
  contextWindow?: number;
  /** Unix seconds. */
  created: number;
  /** Whether it is the `claude-…` name of a model that is also listed under its own. */
  alias: boolean;
};

/** The part of the query that matters: Anthropic's paging. */
export type ModelListQuery = { readonly [name: string]: string | undefined };

/**
 * Whether a client speaks Anthropic's API, and wants its shapes where a path has both. Anthropic's SDKs and Claude Code
 * send `anthropic-version` with everything; `x-api-key` and the user agents cover clients that forget it. Clients of
 * OpenAI's API send none of these.
 */
export function speaksAnthropic(headers: RequestHeaders): boolean {
  if (headers["anthropic-version"] !== undefined || headers["x-api-key"] !== undefined) return true;
  const agent = headers["user-agent"];
  return typeof agent === "string" && /^(?:claude-cli|claude-code|anthropic)(?:$|[/ ])/i.test(agent);
}

/**
 * The body of `GET /v1/models`. Anthropic's clients get the `claude-…` names beside the models' own, because Claude Code's
 * picker keeps no others; OpenAI's clients get each model once. Throws GatewayError `invalid_request` for a bad page.
 */
export function encodeModelList(models: readonly ListedModel[], anthropic: boolean, query: ModelListQuery): object {
  if (!anthropic) {
    return { object: "list", data: models.filter((model) => !model.alias).map((model) => openaiModel(model)) };
  }
  const { page, hasMore } = pageOf(models, query);
  return {
    data: page.map((model) => anthropicModel(model)),
    has_more: hasMore,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  };
}

/** The body of `GET /v1/models/{id}`. */
export function encodeModel(model: ListedModel, anthropic: boolean): object {
  return anthropic ? anthropicModel(model) : openaiModel(model);
}

function anthropicModel({ id, displayName, contextWindow, created }: ListedModel): object {
  return {
    type: "model",
    id,
    display_name: displayName,
    created_at: new Date(created * 1000).toISOString().replace(".000Z", "Z"),
    ...(contextWindow !== undefined && { max_input_tokens: contextWindow }),
  };
}

/** `max_model_len` is vLLM's name for the window and `context_window` the commonest other: clients read either. */
function openaiModel({ id, displayName, contextWindow, created }: ListedModel): object {
  return {
    id,
    object: "model",
    created,
    owned_by: "evener",
    name: displayName,
    ...(contextWindow !== undefined && { max_model_len: contextWindow, context_window: contextWindow }),
  };
}

/** Anthropic's documented default and limit. */
const DEFAULT_PAGE = 20;
const LARGEST_PAGE = 1000;

function pageOf(
  models: readonly ListedModel[],
  query: ModelListQuery,
): { page: readonly ListedModel[]; hasMore: boolean } {
  const limit = query["limit"] === undefined ? DEFAULT_PAGE : Number(query["limit"]);
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) {
    throw new GatewayError("invalid_request", `limit: must be a whole number from 1 to ${LARGEST_PAGE}`, {
      param: "limit",
    });
  }
  const after = query["after_id"];
  const before = query["before_id"];
  if (after !== undefined && before !== undefined) {
    throw new GatewayError("invalid_request", "after_id: cannot be used together with before_id", {
      param: "after_id",
    });
  }
  if (before !== undefined) {
    const end = positionOf(models, before, "before_id");
    const start = Math.max(0, end - limit);
    return { page: models.slice(start, end), hasMore: start > 0 };
  }
  const start = after === undefined ? 0 : positionOf(models, after, "after_id") + 1;
  return { page: models.slice(start, start + limit), hasMore: start + limit < models.length };
}

function positionOf(models: readonly ListedModel[], id: string, param: string): number {
  const at = models.findIndex((model) => model.id === id);
  if (at === -1) throw new GatewayError("invalid_request", `${param}: no model in the list has this id`, { param });
  return at;
}
