/** The HTTP server: which path goes where. Chat goes straight to the request path; all else through hono. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { type HttpBindings, getRequestListener } from "@hono/node-server";
import type { WireCodec } from "./conversation/codec.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { discardBody } from "./gateway/discard-body.ts";
import { handleChat } from "./gateway/handle-chat.ts";
import { adminApp, type AdminOptions } from "./routes/admin.ts";
import { apiApp } from "./routes/api.ts";
import { handleCountTokens } from "./routes/count-tokens.ts";
import { organizationApp } from "./routes/organization.ts";
import type { AnthropicMessagesCodec } from "./wire/anthropic-messages/codec.ts";
import { speaksAnthropic } from "./wire/model-list.ts";
import { openaiChat } from "./wire/openai-chat/codec.ts";
import { openaiResponses } from "./wire/openai-responses/codec.ts";

export type ServerOptions = {
  gateway: Gateway;
  anthropicMessages: AnthropicMessagesCodec;
  admin: AdminOptions;
  metrics(): Promise<{ contentType: string; body: string }>;
};

/** Longer than any client keeps an idle connection, so that it is the client that closes and never loses a request to a race. */
const KEEP_ALIVE_MS = 120_000;

/** The server, not yet listening. */
export function createGatewayServer({ gateway, anthropicMessages, admin, metrics }: ServerOptions): Server {
  const codecOf = (path: string, headers: Headers): WireCodec =>
    path.startsWith("/v1/messages") || speaksAnthropic(Object.fromEntries(headers)) ? anthropicMessages : openaiChat;
  const adminListener = listenerOf(adminApp(admin));
  const organizationListener = listenerOf(organizationApp(admin));
  const apiListener = listenerOf(apiApp({ gateway, codecOf, metrics, pingStore: () => admin.store.ping() }));

  const route = (req: IncomingMessage, res: ServerResponse): Promise<unknown> => {
    const url = req.url ?? "/";
    const end = url.indexOf("?");
    const path = end === -1 ? url : url.slice(0, end);
    if (req.method === "POST") {
      if (path === "/v1/messages") return handleChat(gateway, anthropicMessages, req, res);
      if (path === "/v1/chat/completions") return handleChat(gateway, openaiChat, req, res);
      if (path === "/v1/responses") return handleChat(gateway, openaiResponses, req, res);
      if (path === "/v1/messages/count_tokens") return handleCountTokens(gateway, anthropicMessages, req, res);
    }
    if (path.startsWith("/v1/organizations/") || path === "/api/oauth/usage" || path === "/admin/openapi.json")
      return Promise.resolve(organizationListener(req, res));
    return Promise.resolve(path.startsWith("/admin/v1/") ? adminListener(req, res) : apiListener(req, res));
  };

  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (req, res) => void route(req, res));
}

type App = { fetch(request: Request, env: HttpBindings): Response | Promise<Response> };

/** What is refused unread is read before the answer leaves, as on the request path. */
function listenerOf(app: App): ReturnType<typeof getRequestListener> {
  const answer = async (request: Request, env: unknown): Promise<Response> => {
    const bindings = env as HttpBindings;
    const { incoming } = bindings;
    const response = await app.fetch(request, bindings);
    // Nobody reads a body whose answer is there; a listener that somebody left would pause it for good.
    if (!incoming.complete) incoming.removeAllListeners("data");
    await discardBody(incoming);
    return response;
  };
  return getRequestListener(answer, { overrideGlobalObjects: false });
}
