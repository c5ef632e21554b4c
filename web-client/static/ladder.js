/**
 * The fallback ladder: what to go on with when a transport does not open.
 *
 * Loaded late.
 */

/** @import { ServerAddress, TransportName } from "./protocol.js" */
/** @import { Avoided } from "./types.js" */

/** How long a server may take to show that it is there. */
const ANSWERS_MS = 3_000;

/** Whether the server at an address answers plain requests, whatever has become of its streams.
 * @param {string} base */
export async function answers(base) {
  const options = { cache: /** @type {const} */ ("no-store"), signal: AbortSignal.timeout(ANSWERS_MS) };
  return fetch(`${base}/api/transports`, { ...options, credentials: "include" }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** The next step down, where this transport is what fails: another server answers, and this one does not open
 * although it answers too, or does not answer at all. Where nothing answers, there is nothing to fall back on.
 * @param {TransportName} transport
 * @param {ServerAddress[]} servers in their order: each asks less of the network than the one before
 * @param {(transport: TransportName) => Promise<boolean>} answers whether the server of a transport answers requests
 * @returns {Promise<{next: TransportName, why: Avoided["why"]} | null>} */
export async function fall(transport, servers, answers) {
  const place = servers.findIndex(({ name }) => name === transport);
  for (const { name: next } of servers.slice(place + 1)) {
    if (await answers(next)) return { next, why: (await answers(transport)) ? "blocked" : "gone" };
  }
  return null;
}
