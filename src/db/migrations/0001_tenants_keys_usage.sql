-- Tenants, their virtual keys, one row of usage a request, admin keys and what was done with them.
-- Times are timestamptz, tokens and milliseconds integer. Names that people see are text without control characters.

CREATE TABLE setting (
  name       text PRIMARY KEY,
  value      text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant (
  id          text PRIMARY KEY CHECK (id ~ '^ten_[0-9a-z]{20,}$'),
  name        text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 100 AND name !~ '[[:cntrl:]]'),
  created_at  timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz CHECK (archived_at >= created_at)
);

-- The key itself is never stored: hmac is HMAC-SHA-256 under the gateway's secret, hint is what a list may show of it.
CREATE TABLE virtual_key (
  id           text PRIMARY KEY CHECK (id ~ '^key_[0-9a-z]{20,}$'),
  tenant_id    text NOT NULL REFERENCES tenant (id),
  name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100 AND name !~ '[[:cntrl:]]'),
  hmac         bytea NOT NULL UNIQUE CHECK (octet_length(hmac) = 32),
  hint         text NOT NULL CHECK (char_length(hint) <= 16),
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz CHECK (expires_at > created_at),
  revoked_at   timestamptz CHECK (revoked_at >= created_at),
  last_used_at timestamptz
);
CREATE INDEX virtual_key_tenant ON virtual_key (tenant_id);

-- Checked where a value is read, once a connection: a table's own CHECKs are parsed anew for every statement that writes into it.
CREATE DOMAIN tokens AS integer CHECK (VALUE >= 0);
CREATE DOMAIN milliseconds AS integer CHECK (VALUE >= 0);
CREATE DOMAIN usage_source AS text CHECK (VALUE IN ('engine', 'gateway', 'checkpoint'));
CREATE DOMAIN usage_outcome AS text CHECK (VALUE IN ('ok', 'client_gone', 'engine_died', 'recovered', 'error'));

-- One row a request, written once. The classes of prompt tokens are disjoint; reasoning is a part of output.
-- No foreign keys: tenants and keys are never deleted, and checking them would lock a hot tenant's row for each request.
CREATE TABLE usage_event (
  request_id      text PRIMARY KEY CHECK (char_length(request_id) BETWEEN 1 AND 100),
  tenant_id       text NOT NULL,
  key_id          text NOT NULL,
  model           text NOT NULL,
  requested_model text NOT NULL,
  wire            text NOT NULL,
  streamed        boolean NOT NULL,
  session         text,
  agent           text,
  input_uncached  tokens NOT NULL,
  cache_read      tokens NOT NULL,
  cache_write     tokens NOT NULL,
  output          tokens NOT NULL,
  reasoning       tokens NOT NULL CHECK (reasoning <= output),
  counted_by      usage_source NOT NULL,
  outcome         usage_outcome NOT NULL,
  finish_reason   text,
  error_code      text,
  engine          text,
  started_at      timestamptz NOT NULL,
  first_token_ms  milliseconds,
  duration_ms     milliseconds NOT NULL,
  repeat_of       text CHECK (repeat_of <> request_id),
  prefix_break    text,
  recorded_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE admin_key (
  id         text PRIMARY KEY CHECK (id ~ '^adm_[0-9a-z]{20,}$'),
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100 AND name !~ '[[:cntrl:]]'),
  hmac       bytea NOT NULL UNIQUE CHECK (octet_length(hmac) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz CHECK (revoked_at >= created_at)
);

-- Who changed what. Rows are only ever added.
CREATE TABLE audit_log (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL DEFAULT now(),
  actor   text NOT NULL,
  action  text NOT NULL,
  subject text NOT NULL,
  detail  jsonb NOT NULL DEFAULT '{}'
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
