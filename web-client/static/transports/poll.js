/**
 * One poll, and what becomes of its answer: what long and short polling share.
 */

import { problem } from "../api.js";
import { LOST, closing, refused } from "../codes.js";
import { REPLY_TIMEOUT_MS } from "./unanswered.js";

/** @import { Closing, Event } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

/** @typedef {{events: Event[], cursor: string, more: boolean, ended?: Closing}} Answer */

/**
 * Asks what came after the cursor; the server may wait `wait` seconds for something to come.
 * @param {string} base the server's address
 * @param {string} cursor
 * @param {number} wait
 * @param {AbortSignal} signal
 * @param {Observer} observer
 * @returns {Promise<Answer>}
 */
export async function poll(base, cursor, wait, signal, observer) {
  const query = new URLSearchParams({ after: cursor, wait: String(wait) });
  const nothing = { events: [], cursor, more: false };
  const began = performance.now();
  observer.onRecord({ direction: "up", what: `GET /poll, wait ${wait} s` });
  try {
    const late = AbortSignal.timeout(wait * 1_000 + REPLY_TIMEOUT_MS);
    const options = { credentials: /** @type {const} */ ("include"), cache: /** @type {const} */ ("no-store") };
    const response = await fetch(`${base}/poll?${query}`, { ...options, signal: AbortSignal.any([signal, late]) });
    const text = await response.clone().text();
    observer.onRecord({ direction: "down", what: `answer ${response.status}`, text, ms: performance.now() - began });
    if (response.ok) return JSON.parse(text);
    const { code, status } = await problem(response);
    return { ...nothing, ended: refused(status, code) };
  } catch {
    if (!signal.aborted) observer.onRecord({ direction: "end", what: "no answer to a poll", ms: performance.now() - began });
    return { ...nothing, ended: closing(LOST) };
  }
}

/**
 * Tells the observer what an answer holds.
 * @param {Answer} answer
 * @param {Observer} observer
 * @param {AbortSignal} signal
 * @returns {string | null} where to go on; null: nowhere, this connection is over
 */
export function deliver(answer, observer, signal) {
  if (signal.aborted) return null;
  if (answer.ended) {
    observer.onClose(answer.ended);
    return null;
  }
  observer.onOpen();
  for (const event of answer.events) {
    observer.onEvent(event);
    if (signal.aborted) return null;
  }
  // The answer's cursor is what a tick is on a stream: where this client now stands.
  observer.onEvent({ type: "tick", cursor: answer.cursor });
  return signal.aborted ? null : answer.cursor;
}

/**
 * Waits, or stops waiting at once when the connection ends.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
