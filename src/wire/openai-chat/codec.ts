/** OpenAI's chat completions wire, put together for the gateway. */
import type { WireCodec } from "../../conversation/codec.ts";
import { decodeRequest } from "./decode-request.ts";
import { encodeAnswer } from "./encode-answer.ts";
import { encodeError } from "./encode-error.ts";
import { streamEncoder } from "./encode-stream.ts";

export const openaiChat: WireCodec = {
  name: "openai-chat",
  decode: decodeRequest,
  streamEncoder,
  errorIsLastEvent: false,
  encodeAnswer,
  encodeError,
};
