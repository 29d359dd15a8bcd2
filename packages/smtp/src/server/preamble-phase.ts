/**
 * The wait for the PROXY preamble in front of a session.
 *
 * This file must not know the preamble's form.
 */
import { concat } from "../octets.ts";
import type { ServerCore } from "./core.ts";
import { longestPreamble, readProxyPreamble } from "./proxy-preamble.ts";

/** Reads on in the preamble; false: there is not enough of it. */
export function readPreamble(core: ServerCore): boolean {
  const { input } = core;
  if (!input.advance()) return false;
  const bytes = joined(core);
  const preamble = readProxyPreamble(bytes);
  if (preamble.kind === "incomplete" && bytes.length <= longestPreamble) {
    core.preamble = bytes;
    input.position = input.chunk.length;
    return true;
  }
  if (preamble.kind !== "read") {
    // Who does not speak the protocol gets no word (PROXY protocol §2): it is not a mail client.
    core.end();
    return true;
  }
  input.position += preamble.length - core.preamble.length;
  core.preamble = new Uint8Array(0);
  core.actions.push({ type: "proxied", ...preamble.ends });
  core.greet();
  return true;
}

function joined({ preamble, input }: ServerCore): Uint8Array {
  const rest = input.chunk.subarray(input.position, input.position + longestPreamble);
  return preamble.length === 0 ? rest : concat([preamble, rest]);
}
