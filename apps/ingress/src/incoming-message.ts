/**
 * One message on its way from a session to the spool: our Received field goes in front, the header
 * is read in passing, the content goes on as it comes.
 */
import { HeaderReader, receivedField, transmissionProtocol } from "@postern/message";
import { type Envelope, type Reply, reply } from "@postern/smtp";
import { type AcceptedRecipient, type IncomingContent, isUnavailable } from "@postern/store";
import type { Ingress } from "./gateway-state.ts";
import { type SessionFacts, storedSession } from "./session-facts.ts";

/** A message between the first byte of its content and the reply to the last. */
export class IncomingMessage {
  readonly id: string;
  readonly #ingress: Ingress;
  readonly #facts: SessionFacts;
  readonly #recipients: readonly AcceptedRecipient[];
  readonly #version: number;
  readonly #receivedAt: Date;
  readonly #header = new HeaderReader();
  readonly #content: IncomingContent;
  #failure: unknown;

  constructor(
    ingress: Ingress,
    facts: SessionFacts,
    envelope: Envelope,
    recipients: readonly AcceptedRecipient[],
  ) {
    this.id = ingress.newQueueId();
    this.#ingress = ingress;
    this.#facts = facts;
    this.#recipients = recipients;
    this.#version = ingress.snapshot.version;
    this.#receivedAt = ingress.now();
    this.#content = ingress.spool.receive(this.id);
    const [only] = recipients;
    this.#content.add(receivedField({
      from: { helo: facts.helo, address: facts.address },
      by: ingress.hostname,
      protocol: transmissionProtocol({
        dialect: facts.verb === "HELO" ? "SMTP" : "ESMTP",
        smtpUtf8: envelope.parameters.smtpUtf8 ?? false,
        tls: facts.tls !== undefined,
        authenticated: facts.user !== undefined,
      }),
      id: this.id,
      ...(recipients.length === 1 && only !== undefined ? { for: only.forwardPath } : {}),
      date: this.#receivedAt,
    }));
  }

  /** Takes content. What the spool cannot take now is known at the end: the client gets 451 then. */
  add(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) return undefined;
    this.#header.push(bytes);
    return this.#content.add(bytes)?.catch((error) => {
      this.#failure = error ?? new Error("content was not stored");
    });
  }

  /** Makes the message durable; answers what the client is told. */
  async commit(envelope: Envelope): Promise<Reply> {
    const { log } = this.#ingress;
    const { address } = this.#facts;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#content.commit({
        receivedAt: this.#receivedAt,
        reversePath: envelope.reversePath,
        parameters: envelope.parameters,
        session: storedSession(this.#facts),
        messageId: storable(this.#header.header.messageId),
        configurationVersion: this.#version,
        recipients: this.#recipients,
      });
    } catch (error) {
      log[isUnavailable(error) ? "warning" : "error"]("message not stored", {
        id: this.id,
        error: String(error),
      });
      await this.discard();
      return reply(451, "4.3.0", "The message could not be stored: please try again later");
    }
    log.info("message received", {
      id: this.id,
      client: address,
      reversePath: envelope.reversePath,
      recipients: this.#recipients.length,
      size: this.#content.size,
    });
    return reply(250, "2.0.0", `Ok: queued as ${this.id}`);
  }

  /** Gives the message up; what of it was stored already goes. */
  async discard(): Promise<void> {
    try {
      await this.#content.discard();
    } catch (error) {
      this.#ingress.log.warning("pieces of a message that never came stay for the clean-up", {
        id: this.id,
        error: String(error),
      });
    }
  }
}

/** A Message-ID fit for an index: at most 998 characters, none that Postgres cannot keep. */
function storable(messageId: string | undefined): string | undefined {
  return messageId?.replaceAll("\u0000", "").slice(0, 998);
}
