/**
 * What becomes of an unanswered request, on every transport.
 */

/** How long a reply may take; after that its request counts as unanswered. */
export const REPLY_TIMEOUT_MS = 10_000;

/** No reply came. The server may have carried the request out or not, so only the same request may be sent again. */
export class Unanswered extends Error {
  constructor() {
    super("The server did not answer.");
  }
}
