/**
 * Close codes, and what follows from them.
 *
 * 4000–4499 say "reconnect", 4500–4999 say "do not". Codes below 4000 are the WebSocket protocol's own.
 * `views/close-codes.js` has their texts.
 */

/** @import { Closing } from "./protocol.js" */

/** The browser's code for a connection that ended without a Close frame. */
export const LOST = 1006;
/** The cursor is from another history, or older than what the server kept: start with a snapshot. */
export const CURSOR_UNKNOWN = 4409;
export const CURSOR_EXPIRED = 4410;
export const UNAUTHENTICATED = 4502;
export const REVOKED = 4503;
export const TOO_MANY_CONNECTIONS = 4504;
/** The code of a refusal that no retry changes: the server has found damage in its database. */
export const DAMAGED = "storage_damaged";
/** This page sent something wrong on the wire, and would do so again. */
const OWN_FAULTS = new Set([1002, 1003, 1007, 1009]);

/** What a close code means for the client.
 * @param {number} code
 * @returns {Closing}
 */
export function closing(code) {
  return { code, name: "", reconnect: code < 4500 && !OWN_FAULTS.has(code) };
}

/** What it means for a connection if its first request fails.
 * @param {number} status 0: there was no answer
 * @param {string} code
 * @returns {Closing}
 */
export function refused(status, code) {
  if (status === 401) return closing(UNAUTHENTICATED);
  if (code === "too_many_connections") return closing(TOO_MANY_CONNECTIONS);
  if (status === 0) return closing(LOST);
  // Trying again helps with a server in trouble, but not with damage, or with a request that it does not understand.
  return { code: status, name: code, reconnect: code !== DAMAGED && (status >= 500 || status === 429) };
}

/** Whether the user has to sign in again.
 * @param {Closing | null} ended
 */
export function needsSignIn(ended) {
  return ended?.code === UNAUTHENTICATED || ended?.code === REVOKED;
}
