/** What `evener up` says once it is up: where it is, which models there are, where the data is, and how to start a client. */
import { styleText } from "node:util";
import { LOCAL_TENANT } from "../admission/local-keys.ts";
import type { RunningGateway } from "./run-gateway.ts";
import { printable, renderTable } from "./table.ts";
import { VERSION } from "./version.ts";

/** Where engines come from: `simulated` when neither the person nor this machine has any. */
export type EngineSource = "configured" | "discovered" | "simulated";

export type BannerInput = {
  running: Pick<RunningGateway, "url" | "gateway" | "store" | "clientKey">;
  dataDir: string;
  source: EngineSource;
  env: NodeJS.ProcessEnv;
  colour: boolean;
};

export function upBanner({ running, dataDir, source, env, colour }: BannerInput): string {
  const { gateway, store, url } = running;
  const strong = (text: string): string => (colour ? styleText("bold", text) : text);
  const warn = (text: string): string => (colour ? styleText("yellow", text) : text);
  const lines = [`${strong(`Evener ${VERSION}`)} is up at ${strong(url)}`, ""];
  if (source === "simulated") {
    lines.push(
      warn("No engine runs on the usual ports (8000, 30000, 8080, 11434, 1234), so this is the SIMULATED engine:"),
      warn(
        "it answers with canned text, not with a model. Start a real one, then: evener up --engine http://HOST:PORT",
      ),
      "",
    );
  }
  const down = gateway.engines.states.filter((state) => !state.up);
  for (const state of down)
    lines.push(warn(`Engine ${printable(state.address.name)} does not answer: ${printable(state.problem ?? "")}`));
  if (down.length > 0) lines.push(warn("Evener keeps looking and takes it in as soon as it answers."), "");
  if (gateway.models.models.length > 0) {
    lines.push(
      renderTable({
        columns: [{ title: "MODEL" }, { title: "CONTEXT" }, { title: "ENGINE" }],
        rows: gateway.models.models.map((model) => [
          model.id,
          model.contextWindow ?? null,
          model.replicas.map((state) => `${state.info?.kind ?? "engine"} at ${state.address.name}`).join(", "),
        ]),
      }),
    );
  }
  lines.push(
    `Data      ${dataDir} (${store.kind === "pglite" ? "embedded PGlite store" : `Postgres at ${store.where}`})`,
  );
  if (store.kind === "pglite") lines.push("          For invoices use Postgres: set DATABASE_URL.");
  if (running.clientKey) {
    lines.push(`Claude    ${strong(clientCommand(dataDir, env))}`);
    lines.push(`Others    base URL ${url}/v1, key in ${dataDir}/client-key`);
  } else
    lines.push(
      warn(
        `Clients   The tenant ${LOCAL_TENANT} is archived, so there is no key for them; make one: evener key create --tenant NAME`,
      ),
    );
  return `${lines.join("\n")}\n`;
}

/** The exact command for a second terminal: how this one was called, and where the data is unless that is the default. */
export function clientCommand(dataDir: string, env: NodeJS.ProcessEnv): string {
  const home = env["HOME"] ?? "";
  const prefix =
    dataDir === `${home}/.evener` ? "" : `EVENER_DATA=${/^[\w./-]+$/.test(dataDir) ? dataDir : `'${dataDir}'`} `;
  const called = env["npm_execpath"] === undefined && env["npm_command"] === undefined ? "evener" : "npx evener";
  return `${prefix}${called} claude`;
}
