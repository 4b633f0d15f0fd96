/** OpenAI's Responses wire, put together for the gateway. */
import type { WireCodec } from "../../conversation/codec.ts";
import { encodeError } from "../openai-chat/encode-error.ts";
import { decodeRequest } from "./decode-request.ts";
import { encodeAnswer } from "./encode-answer.ts";
import { streamEncoder } from "./encode-stream.ts";

export const openaiResponses: WireCodec = {
  name: "openai-responses",
  decode: decodeRequest,
  streamEncoder,
  // `response.failed`: the API's clients read the reason there, Codex only once the stream has ended as it should.
  errorIsLastEvent: true,
  encodeAnswer,
  encodeError,
};
