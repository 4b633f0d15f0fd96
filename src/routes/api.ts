/** The routes that answer at once: models, the launcher's facts, liveness and metrics. */
import { Hono } from "hono";
import { mayUse } from "../admission/allowed-models.ts";
import { credentialsOf } from "../admission/credentials.ts";
import type { Principal } from "../admission/key-ring.ts";
import type { WireCodec } from "../conversation/codec.ts";
import { GatewayError, toGatewayError } from "../conversation/errors.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { newRequestId } from "../gateway/request-id.ts";
import { listedModel, listedModels, usableModels } from "../gateway/listed-models.ts";
import { encodeModel, encodeModelList, speaksAnthropic } from "../wire/model-list.ts";

export type ApiOptions = {
  gateway: Gateway;
  /** The codec whose error shape a client with these headers and path understands. */
  codecOf(path: string, headers: Headers): WireCodec;
  metrics(): Promise<{ contentType: string; body: string }>;
  /** Resolves when the store answers. */
  pingStore(): Promise<void>;
};

/** Paths that other methods than theirs may not use; for 405 instead of 404. */
const METHODS: Record<string, string> = {
  "/v1/messages": "POST",
  "/v1/messages/count_tokens": "POST",
  "/v1/chat/completions": "POST",
  "/v1/responses": "POST",
  "/v1/models": "GET",
  "/v1/evener/launch": "GET",
  "/health": "GET",
  "/ready": "GET",
  "/metrics": "GET",
};

type ApiEnv = { Variables: { requestId: string; principal: Principal } };

export function apiApp({ gateway, codecOf, metrics, pingStore }: ApiOptions): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();

  app.use(async (c, next) => {
    const requestId = newRequestId();
    c.set("requestId", requestId);
    c.header("request-id", requestId);
    c.header("x-request-id", requestId);
    await next();
  });

  app.get("/", (c) =>
    c.text("Evener answers /v1/messages, /v1/chat/completions, /v1/responses and /v1/models here.\n"),
  );
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/ready", async (c) => {
    const store = await pingStore().then(
      () => true,
      () => false,
    );
    const engines = gateway.engines.states.map((state) => ({
      name: state.address.name,
      up: state.up,
      ...(state.problem !== undefined && { problem: state.problem }),
    }));
    const ready = store && !gateway.draining && engines.some((engine) => engine.up);
    return c.json({ ready, store, draining: gateway.draining, engines }, ready ? 200 : 503);
  });
  app.get("/metrics", async (c) => {
    const { contentType, body } = await metrics();
    return c.body(body, 200, { "content-type": contentType });
  });

  app.use("/v1/*", async (c, next) => {
    c.set("principal", await gateway.keys.authenticate(credentialsOf(c.req.header())));
    await next();
  });
  app.get("/v1/models", (c) => {
    const headers = c.req.header();
    return c.json(
      encodeModelList(listedModels(gateway, c.get("principal").models), speaksAnthropic(headers), c.req.query()),
    );
  });
  app.get("/v1/models/:id{.+}", (c) => {
    const model = listedModel(gateway, c.req.param("id"), c.get("principal").models);
    return c.json(encodeModel(model, speaksAnthropic(c.req.header())));
  });
  app.get("/v1/evener/launch", (c) => {
    const allowed = c.get("principal").models;
    const usable = usableModels(gateway, allowed);
    const models = usable.map((model) => ({
      id: model.id,
      context_window: model.contextWindow ?? null,
      max_output: gateway.config.models[model.id]?.max_output_tokens ?? null,
    }));
    // A client must not be started on a model that its key is refused.
    const ofFamily = (family: string): string => {
      const mapped = gateway.models.ofFamily(family)?.id;
      return mapped !== undefined && mayUse(allowed, mapped) ? mapped : (usable[0]?.id ?? "");
    };
    const families = Object.fromEntries(
      ["opus", "sonnet", "haiku", "default"].map((family) => [family, ofFamily(family)]),
    );
    return c.json({ models, families });
  });

  app.notFound((c) => {
    const allowed = METHODS[c.req.path];
    if (allowed !== undefined && c.req.method !== allowed)
      throw new GatewayError("method_not_allowed", `${c.req.path} takes ${allowed}, not ${c.req.method}`);
    throw new GatewayError("not_found", `there is no ${c.req.path} here`);
  });
  app.onError((thrown, c) => {
    const requestId = c.get("requestId");
    const error = toGatewayError(thrown);
    const codec = codecOf(c.req.path, c.req.raw.headers);
    gateway.observer.refused(requestId, codec.name, error);
    const { status, headers, body } = codec.encodeError(error, requestId);
    return new Response(c.req.method === "HEAD" ? null : body, { status, headers });
  });
  return app;
}
