/** Counts a prompt without running it: the same decoding and rendering as the request itself, counted by the engine's tokenizer. */
import type { IncomingMessage } from "node:http";
import { credentialsOf } from "../admission/credentials.ts";
import type { ChatRequest } from "../conversation/request.ts";
import type { RequestHeaders } from "../conversation/codec.ts";
import { GatewayError } from "../conversation/errors.ts";
import { encodePrompt, encodeTokenize } from "../engine/encode-chat.ts";
import { prepareDocuments } from "../engine/prompt/documents.ts";
import { countPromptTokens } from "../engine/tokenize.ts";
import { affinityOf, replicaOrder } from "../routing/pick-replica.ts";
import { chatTarget } from "./chat-target.ts";
import type { Gateway } from "./gateway.ts";
import { readBody } from "./read-body.ts";
import { resolveModel } from "./resolve-model.ts";

export type Decode = (body: string, headers: RequestHeaders) => ChatRequest;

/** `exact` is false where the engine has no tokenizer to ask and the gateway estimated. */
export async function countTokens(
  gateway: Gateway,
  decode: Decode,
  req: IncomingMessage,
): Promise<{ tokens: number; exact: boolean }> {
  const { models, tenantId } = await gateway.keys.authenticate(credentialsOf(req.headers));
  const body = await readBody(req, gateway.config.limits.body_bytes);
  const request = await prepareDocuments(decode(body, req.headers));
  const model = resolveModel(gateway, request.model, models);
  const replica = replicaOrder(model.replicas, affinityOf(tenantId, request.identity.session))[0];
  if (replica === undefined) throw new GatewayError("engine_unreachable", `no engine serves ${model.id} now`);
  const target = chatTarget(gateway.config, model.id, replica.info);
  // As it would be put to that replica, schemas that it has refused included.
  const asking = gateway.concessions.asking(request, target, replica);
  const prompt = encodeTokenize(encodePrompt(asking.request, asking.target), asking.target);
  return countPromptTokens(gateway.upstream, replica.address, replica.info, prompt);
}
