/** Mail for the tests of spool and queue: short ways to accept, register, claim and conclude. */
import {
  type AcceptedMessage,
  type AcceptedRecipient,
  type Database,
  type DeliveryOutcome,
  newQueueId,
  openSpool,
  registerProcess,
} from "../index.ts";

/** A recipient at the destination of its domain, or at that relay. */
export function to(forwardPath: string, relay = "default"): AcceptedRecipient {
  const nextHop = relay === "default" ? forwardPath.slice(forwardPath.indexOf("@") + 1) : "";
  return { forwardPath, parameters: {}, destination: { relay, nextHop }, decision: { relay } };
}

/** A message without content, but for the changes. */
export function messageTo(
  recipients: readonly AcceptedRecipient[],
  changes: Partial<AcceptedMessage> = {},
): Omit<AcceptedMessage, "id" | "size"> {
  return {
    receivedAt: new Date(),
    reversePath: "sender@example.org",
    parameters: {},
    session: {},
    messageId: undefined,
    configurationVersion: 1,
    ...changes,
    recipients,
  };
}

/** Accepts a message of one byte; answers its id. */
export async function accept(
  database: Database,
  recipients: readonly AcceptedRecipient[],
  changes: Partial<AcceptedMessage> = {},
): Promise<string> {
  const [id] = await acceptMany(database, [{ ...changes, recipients }]);
  return id!;
}

/** Accepts many messages together; answers their ids. */
export async function acceptMany(
  database: Database,
  messages: readonly (Partial<AcceptedMessage> & Pick<AcceptedMessage, "recipients">)[],
): Promise<string[]> {
  const spool = openSpool(database);
  return await Promise.all(messages.map(async (message) => {
    const id = message.id ?? newQueueId();
    const incoming = spool.receive(id);
    await incoming.add(new Uint8Array([65]));
    await incoming.commit(messageTo(message.recipients, message));
    return id;
  }));
}

/** Registers a worker. */
export function register(database: Database): Promise<number> {
  return registerProcess(database, { kind: "worker", host: "here", pid: 1 });
}

/** The outcome of a claimed delivery: all its recipients delivered, but for the changes. */
export function outcomeOf(
  delivery: {
    readonly messageId: string;
    readonly destinationId: number;
    readonly recipients?: readonly { readonly ordinal: number }[];
  },
  changes: Partial<DeliveryOutcome> = {},
): DeliveryOutcome {
  return {
    messageId: delivery.messageId,
    destinationId: delivery.destinationId,
    at: new Date(),
    recipients: (delivery.recipients ?? []).map(({ ordinal }) => ({
      ordinal,
      state: "delivered",
      reply: "250 2.0.0 Ok",
    })),
    dueAt: undefined,
    attempt: { host: "mx.test" },
    ...changes,
  };
}
