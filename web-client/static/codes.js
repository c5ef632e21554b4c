/**
 * Close codes, and what follows from them.
 *
 * 4000–4499 say "come back", 4500–4999 say "do not"; what lies below 4000 is the WebSocket protocol's own.
 * `views/close-codes.js` has their words.
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
/** The code of a refusal that no other attempt changes: the server has found damage in its database. */
export const DAMAGED = "storage_damaged";
/** What this page did wrong on the wire itself: it would do so again. */
const OWN_FAULTS = new Set([1002, 1003, 1007, 1009]);

/** What a connection that ended with `code` means for the client.
 * @param {number} code
 * @returns {Closing}
 */
export function closing(code) {
  return { code, name: "", reconnect: code < 4500 && !OWN_FAULTS.has(code) };
}

/** What a request that failed before there was a connection means for it.
 * @param {number} status 0: there was no answer
 * @param {string} code
 * @returns {Closing}
 */
export function refused(status, code) {
  if (status === 401) return closing(UNAUTHENTICATED);
  if (code === "too_many_connections") return closing(TOO_MANY_CONNECTIONS);
  if (status === 0) return closing(LOST);
  // A server in trouble is worth coming back to; one with damage, or one that cannot understand a request, is not.
  return { code: status, name: code, reconnect: code !== DAMAGED && (status >= 500 || status === 429) };
}

/** Whether signing in again is what helps.
 * @param {Closing | null} ended
 */
export function needsSignIn(ended) {
  return ended?.code === UNAUTHENTICATED || ended?.code === REVOKED;
}
