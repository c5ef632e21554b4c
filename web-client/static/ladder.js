/**
 * The fallback ladder: what to use when a transport does not open.
 *
 * Loaded late.
 */

/** @import { ServerAddress, TransportName } from "./protocol.js" */
/** @import { Avoided } from "./types.js" */

/** How long a server may take to show that it is there. */
const ANSWERS_MS = 3_000;

/** Whether the server at an address answers plain requests, even if its streams fail.
 * @param {string} base */
export async function answers(base) {
  const options = { cache: /** @type {const} */ ("no-store"), signal: AbortSignal.timeout(ANSWERS_MS) };
  return fetch(`${base}/api/transports`, { ...options, credentials: "include" }).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** The next transport whose server answers, and why this one fails: its server answers too ("blocked"), or it does
 * not ("gone"). Null if no server answers: there is nothing to fall back on.
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
