/**
 * Delivery by short polling:
 * one request every two seconds, answered at once, and each request to send is a POST of its own.
 */

import { deliver, pause, poll } from "./poll.js";

/** @import { Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

/** The time between an answer and the next poll: what a message waits at worst, and why most answers are empty. */
const PAUSE_MS = 2_000;

export class ShortPollTransport {
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
    while (cursor !== null) {
      const answer = await poll(this.base, cursor, 0, signal, this.observer);
      cursor = deliver(answer, this.observer, signal);
      if (!answer.more) await pause(PAUSE_MS, signal);
    }
  }
}
