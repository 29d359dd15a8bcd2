/**
 * What is wrong with one definition beyond its schema. Looked for where somebody gives a definition:
 * what an earlier release took stays in force until it is given anew.
 */
import type { Resource, ResourceKind } from "./configuration.ts";
import type { Relay } from "./relay.ts";
import type { Settings } from "./settings.ts";

/** One thing that is wrong, and where in the definition. */
export interface Fault {
  readonly pointer: string;
  readonly message: string;
}

/** All that is wrong with the definition. */
export function faultsIn(kind: ResourceKind, resource: Resource): Fault[] {
  if (kind === "relays") return relayFaults(resource as Relay);
  if (kind === "settings") return settingsFaults(resource as Settings);
  return [];
}

function relayFaults(relay: Relay): Fault[] {
  const faults: Fault[] = [];
  if (relay.kind === "http" && hasCredentials(relay.url)) {
    const message = "expected no user and password here: secret is the key that requests are " +
      "signed with";
    faults.push({ pointer: "/url", message });
  }
  if ("tls" in relay && relay.tls.policy === "verify") {
    const { certificateAuthority } = relay.tls;
    if (certificateAuthority !== undefined && !isCertificates(certificateAuthority)) {
      const message = "expected certificates in PEM: -----BEGIN CERTIFICATE-----, …";
      faults.push({ pointer: "/tls/certificateAuthority", message });
    }
  }
  if ("credentials" in relay && relay.credentials !== undefined) {
    const { credentials } = relay;
    if (/[\r\n]/.test(credentials.username)) {
      faults.push({ pointer: "/credentials/username", message: "expected one line" });
    }
    if ("oauth2" in credentials && hasCredentials(credentials.oauth2.tokenUrl)) {
      const message = "expected no user and password here: they are clientId and clientSecret";
      faults.push({ pointer: "/credentials/oauth2/tokenUrl", message });
    }
  }
  return faults;
}

function hasCredentials(address: string): boolean {
  const { username, password } = new URL(address);
  return username !== "" || password !== "";
}

/** Whether a text holds certificates (RFC 7468 §5); what stands around them is for people. */
function isCertificates(text: string): boolean {
  const blocks = [
    ...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g),
  ];
  return blocks.length > 0 && blocks.every(([, body = ""]) => {
    const base64 = body.replace(/\s+/g, "");
    // The DER of a SEQUENCE.
    return /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0 &&
      atob(base64).charCodeAt(0) === 0x30;
  });
}

function settingsFaults({ retention: { content, messages } }: Settings): Fault[] {
  if (content <= messages) return [];
  const message = `content is kept with its message: expected at most the ${messages} seconds ` +
    "of messages";
  return [{ pointer: "/retention/content", message }];
}
