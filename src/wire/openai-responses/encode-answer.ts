/** Writes a whole answer as a response object: the one that the stream of the same answer ends with. */
import type { Answer, AnswerBlock } from "../../conversation/answer.ts";
import type { ByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { itemJson, type ItemMaker, itemMaker, type OutputItem } from "./output-item.ts";
import { finalState, responseWriter } from "./response-object.ts";

export function encodeAnswer(answer: Answer, context: AnswerContext): ByteText {
  const make = itemMaker(context);
  const state = finalState(answer.finish.reason);
  const last = answer.blocks.length - 1;
  const items = answer.blocks.map((block, i) =>
    itemJson(itemOf(block, make), i === last && state.status === "incomplete" ? "incomplete" : "completed"),
  );
  return responseWriter(context)(state, items);
}

function itemOf(block: AnswerBlock, make: ItemMaker): OutputItem {
  if (block.type === "tool-call") return { ...make.call(block.id, block.name), text: block.arguments };
  return { ...(block.type === "text" ? make.text() : make.reasoning()), text: block.text };
}
