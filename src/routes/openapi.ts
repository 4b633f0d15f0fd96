/** The OpenAPI document of the admin APIs, made of the very schemas by which bodies and queries are read. docs/openapi.json is a copy. */
import { z } from "zod";
import { NewAdminKeyBody } from "./admin-admin-keys.ts";
import { BudgetsQuery, NewBudgetBody } from "./admin-budgets.ts";
import { InvoiceQuery } from "./admin-invoices.ts";
import { KeyChangeBody, KeysQuery, NewKeyBody } from "./admin-keys.ts";
import { FocusQuery, RebuildBody } from "./admin-ledger.ts";
import { HistoryQuery, NewPriceBody, PricesQuery } from "./admin-prices.ts";
import { SessionQuery } from "./admin-sessions.ts";
import { CreditBody, NewTenantBody, TenantNameBody, TermsBody } from "./admin-tenants.ts";
import { UsageQuery } from "./admin-usage.ts";
import { ANSWERS } from "./openapi-answers.ts";
import { ApiKeyBody, ApiKeysQuery } from "./organization-api-keys.ts";
import { CostReportQuery, UsageReportQuery } from "./organization-reports.ts";
import { AuditQuery, EffectiveQuery, SpendLimitBody, SpendLimitsQuery } from "./organization-spend-limits.ts";
import { WorkspaceBody, WorkspacesQuery } from "./organization-workspaces.ts";

type Operation = {
  does: string;
  answer: keyof typeof ANSWERS | "text";
  query?: z.ZodObject;
  body?: z.ZodType;
  status?: 201;
};

const ADMIN = "/admin/v1";
const ORG = "/v1/organizations";

/** `METHOD path`. A test holds this against the routes that there are. */
export const OPERATIONS: Record<string, Operation> = {
  [`get ${ADMIN}/whoami`]: { does: "Says whose admin key this is.", answer: "WhoAmI" },
  [`post ${ADMIN}/tenants`]: { does: "Makes a tenant.", body: NewTenantBody, answer: "Tenant", status: 201 },
  [`get ${ADMIN}/tenants`]: { does: "Lists tenants with their accounts.", answer: "Tenants" },
  [`post ${ADMIN}/tenants/{tenant}/terms`]: {
    does: "Changes how a tenant pays.",
    body: TermsBody,
    answer: "TenantTerms",
  },
  [`post ${ADMIN}/tenants/{tenant}/credits`]: {
    does: "Pays an amount into a tenant's account; once an `idempotency-key` header.",
    body: CreditBody,
    answer: "Credit",
    status: 201,
  },
  [`post ${ADMIN}/tenants/{tenant}/name`]: { does: "Renames a tenant.", body: TenantNameBody, answer: "Tenant" },
  [`post ${ADMIN}/tenants/{tenant}/archive`]: { does: "Archives a tenant; its keys end.", answer: "Tenant" },
  [`post ${ADMIN}/keys`]: { does: "Makes a virtual key.", body: NewKeyBody, answer: "NewKey", status: 201 },
  [`get ${ADMIN}/keys`]: { does: "Lists virtual keys.", query: KeysQuery, answer: "Keys" },
  [`post ${ADMIN}/keys/{id}`]: {
    does: "Changes when a virtual key expires and which models it may use.",
    body: KeyChangeBody,
    answer: "Key",
  },
  [`post ${ADMIN}/keys/{id}/revoke`]: { does: "Revokes a virtual key for good.", answer: "Key" },
  [`post ${ADMIN}/admin-keys`]: {
    does: "Makes an admin key that may read, or read and write.",
    body: NewAdminKeyBody,
    answer: "NewAdminKey",
    status: 201,
  },
  [`get ${ADMIN}/admin-keys`]: { does: "Lists admin keys.", answer: "AdminKeys" },
  [`post ${ADMIN}/admin-keys/{id}/revoke`]: { does: "Revokes an admin key for good.", answer: "AdminKey" },
  [`get ${ADMIN}/usage`]: {
    does: "Sums usage, or lists single requests a page at a time.",
    query: UsageQuery,
    answer: "Usage",
  },
  [`get ${ADMIN}/sessions/{id}`]: {
    does: "Shows a session request by request.",
    query: SessionQuery,
    answer: "Session",
  },
  [`post ${ADMIN}/prices`]: { does: "Adds a price from a time on.", body: NewPriceBody, answer: "Price", status: 201 },
  [`get ${ADMIN}/prices`]: { does: "Lists the prices that are valid at a time.", query: PricesQuery, answer: "Prices" },
  [`get ${ADMIN}/prices/history`]: { does: "Lists all prices.", query: HistoryQuery, answer: "Prices" },
  [`post ${ADMIN}/budgets`]: { does: "Sets a tenant's or a key's budget.", body: NewBudgetBody, answer: "Budget" },
  [`get ${ADMIN}/budgets`]: { does: "Lists budgets and what is spent.", query: BudgetsQuery, answer: "Budgets" },
  [`post ${ADMIN}/budgets/{id}/remove`]: { does: "Removes a budget.", answer: "Budget" },
  [`get ${ADMIN}/invoices`]: {
    does: "Draws up an invoice, as JSON, CSV or HTML.",
    query: InvoiceQuery,
    answer: "Invoice",
  },
  [`get ${ADMIN}/ledger/verify`]: { does: "Recomputes every rule of the ledger.", answer: "Verification" },
  [`post ${ADMIN}/ledger/rebuild`]: { does: "Rebuilds the roll-ups.", body: RebuildBody, answer: "Rebuilt" },
  [`get ${ADMIN}/ledger/focus`]: { does: "Exports a month as FOCUS 1.2 CSV.", query: FocusQuery, answer: "text" },
  [`get ${ORG}/workspaces`]: { does: "Lists workspaces (tenants).", query: WorkspacesQuery, answer: "Workspaces" },
  [`post ${ORG}/workspaces`]: { does: "Makes a workspace.", body: WorkspaceBody, answer: "Workspace" },
  [`get ${ORG}/workspaces/{id}`]: { does: "Gets a workspace.", answer: "Workspace" },
  [`post ${ORG}/workspaces/{id}`]: { does: "Renames a workspace.", body: WorkspaceBody.partial(), answer: "Workspace" },
  [`post ${ORG}/workspaces/{id}/archive`]: { does: "Archives a workspace; its keys end.", answer: "Workspace" },
  [`get ${ORG}/api_keys`]: { does: "Lists API keys (virtual keys).", query: ApiKeysQuery, answer: "ApiKeys" },
  [`get ${ORG}/api_keys/{id}`]: { does: "Gets an API key.", answer: "ApiKey" },
  [`post ${ORG}/api_keys/{id}`]: { does: "Renames or archives an API key.", body: ApiKeyBody, answer: "ApiKey" },
  [`get ${ORG}/usage_report/messages`]: {
    does: "Reports usage by buckets of time. A tenant's key sees its own.",
    query: UsageReportQuery,
    answer: "UsageReport",
  },
  [`get ${ORG}/cost_report`]: { does: "Reports cost by day.", query: CostReportQuery, answer: "CostReport" },
  [`get ${ORG}/spend_limits`]: { does: "Lists spend limits.", query: SpendLimitsQuery, answer: "SpendLimits" },
  [`post ${ORG}/spend_limits`]: { does: "Sets a spend limit.", body: SpendLimitBody, answer: "SpendLimit" },
  [`get ${ORG}/spend_limits/effective`]: {
    does: "Says which limit applies to each key.",
    query: EffectiveQuery,
    answer: "EffectiveSpendLimits",
  },
  [`get ${ORG}/spend_limits/audit`]: {
    does: "Says who changed spend limits.",
    query: AuditQuery,
    answer: "SpendLimitAudit",
  },
  [`get ${ORG}/spend_limits/{id}`]: { does: "Gets a spend limit.", answer: "SpendLimit" },
  [`delete ${ORG}/spend_limits/{id}`]: { does: "Removes a spend limit.", answer: "SpendLimitDeleted" },
  "get /api/oauth/usage": { does: "Shows a tenant's key what it has spent, for Claude Code.", answer: "OwnUsage" },
};

type Json = Record<string, unknown>;

export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  for (const [operation, spec] of Object.entries(OPERATIONS)) {
    const [method = "", path = ""] = operation.split(" ");
    (paths[path] ??= {})[method] = describe(method, path, spec);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Evener admin APIs", version: "1", license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
      },
      schemas: Object.fromEntries(
        Object.entries(ANSWERS).map(([name, schema]) => [name, jsonSchema(schema, "output")]),
      ),
    },
  };
}

function describe(method: string, path: string, { does, answer, query, body, status = 200 as 201 }: Operation): Json {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const parameters = [...inPath, ...(query === undefined ? [] : queryParameters(query))];
  const content =
    answer === "text"
      ? { "text/csv": { schema: { type: "string" } } }
      : { "application/json": { schema: { $ref: `#/components/schemas/${answer}` } } };
  return {
    summary: does,
    operationId: `${method}${path.replaceAll(/[^a-z0-9]+/gi, "_")}`.replace(/_$/, ""),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: true, content: { "application/json": { schema: jsonSchema(body, "input") } } },
    }),
    responses: {
      [status]: { description: does, content },
      default: { description: "An error; docs/errors.md lists them.", content: { "application/json": {} } },
    },
  };
}

/** Lists are written `name[]=a&name[]=b`. */
function queryParameters(query: z.ZodObject): Json[] {
  const { properties = {}, required = [] } = jsonSchema(query, "input") as {
    properties?: Record<string, Json & { single?: Json }>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { single, ...schema }]) => {
    const { $schema: _dialect, ...plain } = single ?? schema;
    const isList = single === undefined && schema["type"] === "array";
    return { name: isList ? `${name}[]` : name, in: "query", required: required.includes(name), schema: plain };
  });
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
