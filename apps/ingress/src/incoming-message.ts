/**
 * One message on its way from a session to the spool: our Received field goes in front, the header
 * is read when it is whole, the rest of the content goes on as it comes. When it is complete, policy decides with it
 * about the recipients whose way depends on it.
 */
import { concat, decodeEncodedWords, receivedField, transmissionProtocol } from "@postern/message";
import type { ContentFacts } from "@postern/routing";
import { type Envelope, type Reply, reply } from "@postern/smtp";
import { type AcceptedRecipient, type IncomingContent, isUnavailable } from "@postern/store";
import { AuthenticationCheck } from "./authentication-check.ts";
import { heldUntil } from "./future-release.ts";
import type { Ingress } from "./gateway-state.ts";
import { MessageFront } from "./message-front.ts";
import { withoutOurResults } from "./our-results.ts";
import type { MailTransaction } from "./policy.ts";
import { type SessionFacts, storedSession } from "./session-facts.ts";

/** A message between the first byte of its content and the reply to the last. */
export class IncomingMessage {
  readonly id: string;
  readonly #ingress: Ingress;
  readonly #facts: SessionFacts;
  readonly #transaction: MailTransaction;
  readonly #receivedAt: Date;
  readonly #front = new MessageFront();
  readonly #content: IncomingContent;
  readonly #authentication: AuthenticationCheck | undefined;
  /** Whether the header was stored. */
  #begun = false;
  #bytes = 0;
  #refusal: Reply | undefined;
  #failure: unknown;

  constructor(
    ingress: Ingress,
    facts: SessionFacts,
    envelope: Envelope,
    transaction: MailTransaction,
  ) {
    this.id = ingress.newQueueId();
    this.#ingress = ingress;
    this.#facts = facts;
    this.#transaction = transaction;
    this.#receivedAt = ingress.now();
    this.#content = ingress.spool.receive(this.id);
    const { hostname, resolver } = ingress;
    if (transaction.snapshot.rules.asksAuthentication) {
      const { reversePath } = transaction;
      this.#authentication = new AuthenticationCheck({ ...facts, reversePath, hostname, resolver });
    }
    const { onlyForwardPath } = transaction;
    this.#content.add(receivedField({
      from: { helo: facts.helo, address: facts.address },
      by: hostname,
      ...(facts.tls === undefined ? {} : { tls: facts.tls }),
      protocol: transmissionProtocol({
        dialect: facts.verb === "HELO" ? "SMTP" : "ESMTP",
        smtpUtf8: envelope.parameters.smtpUtf8 ?? false,
        tls: facts.tls !== undefined,
        authenticated: facts.user !== undefined,
      }),
      id: this.id,
      ...(onlyForwardPath === undefined ? {} : { for: onlyForwardPath }),
      date: this.#receivedAt,
    }));
  }

  /** Takes content. What the spool cannot take now is known at the end: the client gets 451 then. */
  add(bytes: Uint8Array): Promise<void> | undefined {
    this.#bytes += bytes.length;
    if (this.#begun) return this.#pass(bytes);
    const body = this.#front.push(bytes);
    return body === undefined ? undefined : this.#begin(body);
  }

  /** Decides, and makes the message durable; answers what the client is told. */
  async commit(envelope: Envelope): Promise<Reply> {
    const { log } = this.#ingress;
    const transaction = this.#transaction;
    const { address } = this.#facts;
    let recipients: readonly AcceptedRecipient[];
    try {
      if (!this.#begun) await this.#begin(this.#front.end());
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#refusal !== undefined) {
        await this.discard();
        return this.#refusal;
      }
      const authentication = await this.#authentication?.end();
      const settlement = await transaction.settle(
        transaction.waitsForContent ? this.#contentFacts(authentication?.results) : undefined,
      );
      if (settlement.status === "refused") {
        await this.discard();
        return settlement.reply;
      }
      recipients = authentication === undefined
        ? settlement.recipients
        : settlement.recipients.map((one) => withField(one, authentication.field));
      const dueAt = heldUntil(envelope.parameters, this.#receivedAt);
      await this.#content.commit({
        receivedAt: this.#receivedAt,
        ...(dueAt === undefined ? {} : { dueAt }),
        reversePath: transaction.reversePath,
        parameters: envelope.parameters,
        session: storedSession(this.#facts),
        messageId: this.#front.header.messageId,
        configurationVersion: transaction.snapshot.version,
        recipients,
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
      reversePath: transaction.reversePath,
      recipients: recipients.length,
      size: this.#content.size,
    });
    return reply(250, "2.0.0", `Ok: queued as ${this.id}`);
  }

  /** Gives the message up; what of it was stored already goes. */
  async discard(): Promise<void> {
    this.#authentication?.abandon();
    try {
      await this.#content.discard();
    } catch (error) {
      this.#ingress.log.warning("pieces of a message that never came stay for the clean-up", {
        id: this.id,
        error: String(error),
      });
    }
  }

  /** The header is there: it is looked over and stored, then what is there of the body. */
  #begin(body: Uint8Array): Promise<void> | undefined {
    this.#begun = true;
    const front = this.#front;
    if (front.isTooLarge) {
      this.#refusal = reply(552, "5.3.4", "Header is bigger than the limit");
      return undefined;
    }
    const { header, octets } = front;
    const clean = withoutOurResults(header, this.#ingress.hostname);
    const emptyLine = octets.subarray(header.octets.length);
    const storing = this.#store(clean === undefined ? octets : concat([clean, emptyLine]));
    const checking = this.#authentication?.begin(header);
    const taken = both(storing, checking);
    return taken === undefined ? this.#pass(body) : taken.then(() => this.#pass(body));
  }

  /** Takes a part of the body. */
  #pass(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined || this.#refusal !== undefined) return undefined;
    if (bytes.length === 0) return undefined;
    return both(this.#store(bytes), this.#authentication?.add(bytes));
  }

  #store(bytes: Uint8Array): Promise<void> | undefined {
    return this.#content.add(bytes)?.catch((error) => {
      this.#failure = error ?? new Error("content was not stored");
    });
  }

  #contentFacts(authentication: ContentFacts["authentication"]): ContentFacts {
    return {
      size: this.#bytes,
      header: this.#front.header.fields.map(({ name, value }) => ({
        name,
        value: decodeEncodedWords(value),
      })),
      ...(authentication === undefined ? {} : { authentication }),
    };
  }
}

function both(
  one: Promise<void> | undefined,
  other: Promise<void> | undefined,
): Promise<void> | undefined {
  return one === undefined || other === undefined
    ? one ?? other
    : Promise.all([one, other]).then(() => {});
}

/** A copy that goes out with our field on top of what else is changed about it. */
function withField(
  recipient: AcceptedRecipient,
  field: { readonly add: string; readonly value: string },
): AcceptedRecipient {
  const { treatment } = recipient;
  const edits = [field, ...(treatment?.edits ?? [])];
  return { ...recipient, treatment: { ...treatment, edits } };
}
