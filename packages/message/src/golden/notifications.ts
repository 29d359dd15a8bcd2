/** The notifications whose octets are the .eml files beside. */
import type { Dsn } from "../dsn.ts";

const octets = (text: string) => new TextEncoder().encode(text);

/** A notification of one failed recipient, with the whole message. */
export const MAIL: Dsn = {
  reportingHost: "mx.example.org",
  originalEnvelopeId: "QQ314159",
  arrivalDate: new Date(Date.UTC(2026, 10, 24, 0, 32, 8)),
  reversePath: "alice@example.com",
  from: "mailer-daemon@mx.example.org",
  recipients: [{
    forwardPath: "bob@example.net",
    originalRecipient: { type: "rfc822", address: "rob@example.net" },
    action: "failed",
    status: "5.1.1",
    diagnostic: {
      type: "smtp",
      text: "550 5.1.1 <bob@example.net>: Recipient address rejected:\n" +
        "550 5.1.1 User unknown in virtual mailbox table",
    },
    remoteHost: "mail.example.net",
    lastAttempt: new Date(Date.UTC(2026, 10, 24, 0, 32, 10)),
  }],
  returnContent: {
    kind: "full",
    content: octets(
      "Message-ID: <original@example.com>\r\nFrom: Alice <alice@example.com>\r\n" +
        "To: rob@example.net\r\nSubject: Lunch\r\n\r\nAt noon?\r\n",
    ),
  },
  messageId: "dsn.01ABC@mx.example.org",
  date: new Date(Date.UTC(2026, 10, 24, 0, 32, 11)),
  boundarySeed: "k3v9x2m7q1w8e5r4t6y0",
  utf8: false,
  queueId: "01ABC",
};

export const NOTIFICATIONS = {
  failed: MAIL,
  delayed: {
    ...MAIL,
    recipients: [
      {
        forwardPath: "bob@example.net",
        action: "delayed",
        status: "4.4.1",
        remoteHost: "mail.example.net",
        lastAttempt: new Date(Date.UTC(2026, 10, 24, 4, 32, 10)),
        willRetryUntil: new Date(Date.UTC(2026, 10, 29, 0, 32, 8)),
      },
      {
        forwardPath: "carol@example.net",
        action: "delayed",
        status: "4.2.2",
        diagnostic: { type: "smtp", text: "452 4.2.2 Mailbox full" },
        remoteHost: "mail.example.net",
      },
    ],
    returnContent: {
      kind: "headers",
      header: octets("Message-ID: <original@example.com>\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"),
    },
  },
  unreturnable: {
    ...MAIL,
    reversePath: "postmaster@example.org",
    notReturnedTo: "",
    recipients: [
      {
        forwardPath: "alice@example.com",
        action: "failed",
        status: "5.2.2",
        diagnostic: { type: "smtp", text: "552 5.2.2 Mailbox full" },
        remoteHost: "mail.example.com",
      },
    ],
  },
  success: {
    ...MAIL,
    recipients: [
      { forwardPath: "bob@example.net", action: "delivered", status: "2.1.5" },
      { forwardPath: "carol@example.net", action: "relayed", status: "2.1.9" },
    ],
    returnContent: { kind: "headers", header: octets("Subject: Lunch\r\n\r\n") },
  },
  international: {
    ...MAIL,
    reversePath: "álice@example.com",
    utf8: true,
    recipients: [{
      forwardPath: "bób@exämple.net",
      originalRecipient: { type: "utf-8", address: "rób@exämple.net" },
      action: "failed",
      status: "5.6.7",
      remoteHost: "mail.example.net",
    }],
    returnContent: {
      kind: "full",
      content: octets("From: álice@example.com\r\nSubject: Grüße\r\n\r\nHallo\r\n"),
    },
  },
} as const satisfies Record<string, Dsn>;
