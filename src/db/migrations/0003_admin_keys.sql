-- Admin keys that were made by command: what they may do, and what a list may show of them; and sessions found by their id.

ALTER TABLE admin_key
  -- 'read': GET only.
  ADD COLUMN access text NOT NULL DEFAULT 'write' CHECK (access IN ('read', 'write')),
  -- Null: the key was given to the gateway at its start.
  ADD COLUMN hint text CHECK (char_length(hint) <= 20),
  ADD COLUMN created_by text;

CREATE INDEX usage_event_session ON usage_event (session, started_at) WHERE session IS NOT NULL;
CREATE INDEX audit_log_action ON audit_log (action, id);
