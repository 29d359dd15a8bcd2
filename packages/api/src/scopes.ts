/** What a token may be allowed to do. Each operation names the scopes that it asks for: mostly one. */

/** Every scope, and what it allows. */
export const SCOPES = {
  "config:read": "Read the configuration, its versions and the audit log, and ask for explanations",
  "config:write": "Change the configuration",
  "queue:read": "Find messages, and read their way and the state of destinations",
  "queue:write": "Hold, release, retry, cancel and reroute messages; pause and flush destinations",
  "content:read": "Read the content of messages",
  send: "Send mail over the API",
  tokens: "Create, list and delete tokens",
} as const;

/** The name of a scope. */
export type Scope = keyof typeof SCOPES;
