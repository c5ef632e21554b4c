/**
 * Delivery by long polling ([RFC 6202 §2](https://www.rfc-editor.org/rfc/rfc6202#section-2)):
 * one request after another, each answered when there is news, and each request to send is a POST of its own.
 */

import { deliver, pause, poll } from "./poll.js";

/** @import { Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

/** How long the server may hold a poll: below the 30–60 s at which proxies lose patience. */
const WAIT_S = 25;
/** After an answer without news: a server that is leaving answers at once, and must not be asked in a tight loop. */
const PAUSE_MS = 100;

export class LongPollTransport {
  /**
   * @param {string} base the server's address
   * @param {Observer} observer
   */
  constructor(base, observer) {
    this.base = base;
    this.observer = observer;
    this.stop = new AbortController();
  }

  /** @param {string} cursor */
  open(cursor) {
    void this.run(cursor);
  }

  /** @param {Request} request @returns {Promise<Reply>} */
  async send(request) {
    const { postCommand } = await import("./commands.js");
    return postCommand(this.base, request, this.observer);
  }

  close() {
    this.stop.abort();
  }

  /** @param {string | null} cursor */
  async run(cursor) {
    const { signal } = this.stop;
    // The first poll does not wait, so that its answer shows at once that the server is there.
    for (let wait = 0; cursor !== null; wait = WAIT_S) {
      const answer = await poll(this.base, cursor, wait, signal, this.observer);
      cursor = deliver(answer, this.observer, signal);
      if (answer.events.length === 0 && wait > 0) await pause(PAUSE_MS, signal);
    }
  }
}
