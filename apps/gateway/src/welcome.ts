/** What a person reads when everything runs: where it listens and what to try. Pure text. */

/** What the welcome names. */
export interface Welcome {
  /** As the ingress reported them: `smtp://0.0.0.0:2525`. */
  readonly smtp: readonly string[];
  /** As the API reported them: `http://127.0.0.1:8025`. */
  readonly api: readonly string[];
  /** Undefined when POSTERN_ADMIN_TOKEN was given. */
  readonly tokenFile: string | undefined;
  /** Whether mail for example.test is captured, which only the embedded database has from the start. */
  readonly sandbox: boolean;
}

/** An address that listens everywhere, or on loopback, is reached here as localhost. */
function reachable(address: string): string {
  return address.replace(/\/\/(0\.0\.0\.0|127\.0\.0\.1|\[::\]|\[::1\])(?=:)/, "//localhost");
}

/** The welcome, with a line feed at its end. */
export function welcome(about: Welcome): string {
  const smtp = about.smtp.find((address) => address.startsWith("smtp://"));
  const api = about.api[0];
  const token = about.tokenFile === undefined
    ? "$POSTERN_ADMIN_TOKEN"
    : `$(cat ${about.tokenFile})`;
  const lines = [
    "",
    "Postern is running.",
    "",
    `  SMTP   ${about.smtp.join("  ")}`,
    `  API    ${about.api.join("  ")}`,
    `  token  ${about.tokenFile ?? "as POSTERN_ADMIN_TOKEN says"}`,
    "",
  ];
  if (smtp !== undefined && api !== undefined) {
    const get = `curl -H "Authorization: Bearer ${token}"`;
    lines.push(
      about.sandbox
        ? "Try it (mail for example.test is kept for looking at, and goes nowhere):"
        : "Try it:",
      "",
      `  printf 'Subject: hello\\r\\n\\r\\nFirst message.\\r\\n' | curl ${reachable(smtp)} ` +
        "--mail-from you@example.org --mail-rcpt someone@example.test -T -",
      `  ${get} ${reachable(api)}/v1/messages`,
      `  ${get} "${reachable(api)}/v1/messages/ID/raw"   (ID is the "id" of a message in the list)`,
      "",
    );
  }
  return lines.join("\n") + "\n";
}
