/**
 * How requests go up if the transport only carries events down:
 * each is a POST of its own, with the JSON that a WebSocket would carry.
 *
 * Loaded late, or with the first request.
 */

import { problem } from "../api.js";
import { DAMAGED } from "../codes.js";
import { REPLY_TIMEOUT_MS, Unanswered } from "./unanswered.js";

/** @import { Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

/**
 * @param {string} base the server's address
 * @param {Request} request
 * @param {Observer} observer
 * @returns {Promise<Reply>}
 */
export async function postCommand(base, request, observer) {
  const text = JSON.stringify(request);
  const began = performance.now();
  observer.onRecord({ direction: "up", what: "POST /api/commands", text });
  try {
    const response = await fetch(`${base}/api/commands`, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json" },
      body: text,
      signal: AbortSignal.timeout(REPLY_TIMEOUT_MS),
    });
    const answer = await response.clone().text();
    const ms = performance.now() - began;
    observer.onRecord({ direction: "down", what: `answer ${response.status}`, text: answer, ms });
    const body = JSON.parse(answer);
    if (body.type === "reply") return body;
    // A problem document: the API refused before the chat was asked.
    const { code, message, status, retryAfterMs } = await problem(response);
    if (status >= 500 && code !== DAMAGED) throw new Unanswered();
    return { type: "reply", request_id: request.request_id, refusal: { code, message, retry_after_ms: retryAfterMs } };
  } catch {
    // The connection was cut, or the answer was late or not the chat's.
    observer.onRecord({ direction: "end", what: "no reply to a POST", ms: performance.now() - began });
    throw new Unanswered();
  }
}
