/**
 * Delivery by polling ([RFC 6202 §2](https://www.rfc-editor.org/rfc/rfc6202#section-2)):
 * one poll after another, each answered with what has come, and each request goes up as a POST of its own.
 *
 * Long polling lets the server wait until there is something. Short polling waits itself, and asks again.
 */

import { problem } from "../api.js";
import { LOST, closing, refused } from "../codes.js";
import { REPLY_TIMEOUT_MS } from "./unanswered.js";

/** @import { Closing, Event, Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */
/** @typedef {{events: Event[], cursor: string, more: boolean, ended?: Closing}} Answer */

class PollTransport {
  /**
   * @param {string} base the server's address
   * @param {Observer} observer
   * @param {number} wait how many seconds the server may hold a poll
   * @param {(answer: Answer, waited: number) => number} rest how many milliseconds this page waits after an answer
   */
  constructor(base, observer, wait, rest) {
    this.base = base;
    this.observer = observer;
    this.wait = wait;
    this.rest = rest;
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
    for (let wait = 0; cursor !== null; wait = this.wait) {
      const answer = await this.poll(cursor, wait);
      cursor = this.deliver(answer);
      const rest = this.rest(answer, wait);
      if (rest > 0) await pause(rest, signal);
    }
  }

  /** Asks what came after the cursor; the server may wait this many seconds for something to come.
   * @param {string} cursor @param {number} wait @returns {Promise<Answer>} */
  async poll(cursor, wait) {
    const { base, observer, stop: { signal } } = this;
    const query = `after=${encodeURIComponent(cursor)}&wait=${wait}`;
    const nothing = { events: [], cursor, more: false };
    const began = performance.now();
    observer.onRecord({ direction: "up", what: `GET /poll, wait ${wait} s` });
    try {
      const until = AbortSignal.any([signal, AbortSignal.timeout(wait * 1_000 + REPLY_TIMEOUT_MS)]);
      const response = await fetch(`${base}/poll?${query}`, { credentials: "include", cache: "no-store", signal: until });
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

  /** @param {Answer} answer @returns {string | null} where to go on; null: this connection is over */
  deliver({ ended, events, cursor }) {
    const { observer, stop: { signal } } = this;
    if (signal.aborted) return null;
    if (ended) return observer.onClose(ended), null;
    observer.onOpen();
    for (const event of events) {
      observer.onEvent(event);
      if (signal.aborted) return null;
    }
    // The answer's cursor is what a tick is on a stream: where this client now stands.
    observer.onEvent({ type: "tick", cursor });
    return signal.aborted ? null : cursor;
  }
}

/** Waits this long, or until the connection ends. @param {number} ms @param {AbortSignal} signal */
const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(null)), { once: true });
  });

export class LongPollTransport extends PollTransport {
  /** The server may wait for less than the 30–60 s after which proxies give up. One that shuts down answers at once
   * without events, and must not be asked in a tight loop.
   * @param {string} base @param {Observer} observer */
  constructor(base, observer) {
    super(base, observer, 25, ({ events }, waited) => (events.length === 0 && waited > 0 ? 100 : 0));
  }
}

export class ShortPollTransport extends PollTransport {
  /** A message waits two seconds at worst, and most answers are empty.
   * @param {string} base @param {Observer} observer */
  constructor(base, observer) {
    super(base, observer, 0, ({ more }) => (more ? 0 : 2_000));
  }
}
