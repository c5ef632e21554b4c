/**
 * How requests go up where the wire only comes down:
 * each is a POST of its own, with the JSON that a socket would carry.
 */

import { problem } from "../api.js";

/** @import { Reply, Request } from "../protocol.js" */

/** How long a reply may take; after that its request counts as unanswered. */
export const REPLY_TIMEOUT_MS = 10_000;

/** No reply came. The server may have carried the request out or not, so only the same request may be sent again. */
export class Unanswered extends Error {
  constructor() {
    super("The server did not answer.");
  }
}

/**
 * @param {string} base the server's address
 * @param {Request} request
 * @returns {Promise<Reply>}
 */
export async function postCommand(base, request) {
  try {
    const response = await fetch(`${base}/api/commands`, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(REPLY_TIMEOUT_MS),
    });
    const body = await response.clone().json();
    if (body.type === "reply") return body;
    // A problem document: the API refused before the chat was asked.
    const { code, message, status, retryAfterMs } = await problem(response);
    if (status >= 500) throw new Unanswered();
    return { type: "reply", request_id: request.request_id, refusal: { code, message, retry_after_ms: retryAfterMs } };
  } catch {
    // Cut, too late, or an answer that is not the chat's.
    throw new Unanswered();
  }
}
