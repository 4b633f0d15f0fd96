/** The routes that answer at once: models, the launcher's facts, liveness and metrics. */
import { Hono } from "hono";
import { credentialsOf } from "../admission/credentials.ts";
import type { WireCodec } from "../conversation/codec.ts";
import { GatewayError, toGatewayError } from "../conversation/errors.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { newRequestId } from "../gateway/request-id.ts";
import { listedModels } from "../gateway/listed-models.ts";
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

export function apiApp({ gateway, codecOf, metrics, pingStore }: ApiOptions): Hono {
  const app = new Hono();

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
    await gateway.keys.authenticate(credentialsOf(c.req.header()));
    await next();
  });
  app.get("/v1/models", (c) => {
    const headers = c.req.header();
    return c.json(encodeModelList(listedModels(gateway), speaksAnthropic(headers), c.req.query()));
  });
  app.get("/v1/models/:id{.+}", (c) => {
    const id = c.req.param("id");
    const headers = c.req.header();
    const listed = listedModels(gateway);
    const resolved = gateway.models.resolve(id);
    const model = listed.find((each) => each.id === id) ?? listed.find((each) => each.id === resolved?.id);
    if (model === undefined)
      throw new GatewayError("model_not_found", `model: ${id} is not served here`, { param: "model" });
    return c.json(encodeModel({ ...model, id }, speaksAnthropic(headers)));
  });
  app.get("/v1/evener/launch", (c) => {
    const models = gateway.models.models.map((model) => ({
      id: model.id,
      context_window: model.contextWindow ?? null,
      max_output: gateway.config.models[model.id]?.max_output_tokens ?? null,
    }));
    const families = Object.fromEntries(
      ["opus", "sonnet", "haiku", "default"].map((family) => [family, gateway.models.ofFamily(family)?.id ?? ""]),
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
    const requestId = newRequestId();
    const error = toGatewayError(thrown);
    const codec = codecOf(c.req.path, c.req.raw.headers);
    gateway.observer.refused(requestId, codec.name, error);
    const { status, headers, body } = codec.encodeError(error, requestId);
    return new Response(c.req.method === "HEAD" ? null : body, { status, headers });
  });
  return app;
}
