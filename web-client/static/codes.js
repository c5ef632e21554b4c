/**
 * Close codes and refusals in words.
 *
 * 4000–4499 say "come back", 4500–4999 say "do not"; what lies below 4000 is the WebSocket protocol's own.
 */

/** @import { Closing } from "./protocol.js" */

/** The browser's word for a connection that ended without a Close frame. */
export const LOST = 1006;
/** The cursor is older than what the server kept, or from another history: start as at start-up. */
export const CURSOR_UNKNOWN = 4409;
export const CURSOR_EXPIRED = 4410;
export const UNAUTHENTICATED = 4502;
export const REVOKED = 4503;
export const TOO_MANY_CONNECTIONS = 4504;
/** What this page did wrong on the wire itself: it would do so again. */
const OWN_FAULTS = new Set([1002, 1003, 1007, 1009]);

/** @type {Record<number, [name: string, words: string]>} */
const CODES = {
  1000: ["normal", "The connection was closed in good order."],
  1001: ["going_away", "The server went away."],
  1002: ["protocol_error", "The server did not understand this page."],
  1003: ["unusable_data", "The server could not use what this page sent."],
  1006: ["lost", "The connection broke off without a goodbye: the server stopped, or the network did."],
  1007: ["bad_utf8", "The server got text that is not UTF-8."],
  1009: ["too_big", "The server got a message larger than it accepts."],
  1011: ["server_error", "The server had an error of its own."],
  4001: ["shutdown", "The server is shutting down."],
  4002: ["no_pong", "The server did not hear from this page for too long."],
  4008: ["slow", "This page read more slowly than the server may wait."],
  4029: ["rate_limited", "This page asked too much too fast."],
  4409: ["cursor_unknown", "The server does not know this page's place in the history."],
  4410: ["cursor_expired", "This page was away for longer than the server keeps events."],
  4500: ["protocol_error", "The server did not understand this page."],
  4502: ["unauthenticated", "Your session has expired."],
  4503: ["revoked", "You signed out elsewhere."],
  4504: ["too_many_connections", "You have too many connections open. Close another tab first."],
};

/** What a connection that ended with `code` means for the client.
 * @param {number} code
 * @returns {Closing}
 */
export function closing(code) {
  const name = CODES[code]?.[0] ?? "unknown";
  return { code, name, reconnect: code < 4500 && !OWN_FAULTS.has(code) };
}

/** A closing in words.
 * @param {Closing} ended
 */
export function inWords(ended) {
  return CODES[ended.code]?.[1] ?? `The server closed the connection (${ended.code} ${ended.name}).`;
}

/** Whether signing in again is what helps.
 * @param {Closing | null} ended
 */
export function needsSignIn(ended) {
  return ended?.code === UNAUTHENTICATED || ended?.code === REVOKED;
}
