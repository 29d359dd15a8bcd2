/**
 * A dialogue that any runtime with ECMAScript, TextEncoder and TextDecoder can run: the client core
 * delivers one message to a scripted next hop, and another one to the server core.
 * `runtimes.test.ts` runs it in Node, Deno and workerd.
 */
import { ClientSession } from "../src/index.ts";
import { deliverAll } from "./back-to-back.wire.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the next hop says each time it has something to answer. */
const script = [
  "220 hop.example ESMTP\r\n",
  "250-hop.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n",
  "250 2.1.0 ok\r\n250 2.1.5 ok\r\n550 5.1.1 no\r\n354 go\r\n",
  "250 2.0.0 queued\r\n",
  "221 2.0.0 bye\r\n",
];

/** Runs it; returns what the client sent and how each recipient ended. */
export function dialogue(): string {
  const session = new ClientSession({ ehloName: "client.example" });
  let log = "";
  session.deliver({
    envelope: {
      reversePath: "a@b.example",
      parameters: {},
      recipients: [
        { forwardPath: "c@d.example", parameters: {} },
        { forwardPath: "e@d.example", parameters: {} },
      ],
    },
    contentSize: 23,
  });
  session.quit();
  for (const reply of script) {
    session.receive(encoder.encode(reply));
    for (let action = session.next(); action !== undefined; action = session.next()) {
      if (action.type === "send") log += decoder.decode(action.bytes);
      else log += `= ${action.type}\r\n`;
      if (action.type === "needContent") {
        session.content(encoder.encode("Subject: x\r\n\r\n.dot\r\n"));
        session.endOfContent();
      }
      if (action.type === "outcome") {
        for (const { recipient, status } of action.outcome.recipients) {
          log += `${recipient.forwardPath} ${status}\r\n`;
        }
      }
    }
  }
  return log + backToBack();
}

function backToBack(): string {
  const content = [encoder.encode("Subject: x\r\n\r\n"), encoder.encode(".dot\r\n")];
  const { outcomes, taken } = deliverAll([{
    transaction: {
      envelope: {
        reversePath: "",
        parameters: { ret: "HDRS" },
        recipients: [{ forwardPath: "jürgen@d.example", parameters: { notify: ["FAILURE"] } }],
      },
    },
    content,
  }]);
  const statuses = outcomes.flatMap(({ recipients }) => recipients.map(({ status }) => status));
  return `${statuses} ${JSON.stringify(taken[0]?.envelope)} ${decoder.decode(taken[0]?.content)}`;
}
