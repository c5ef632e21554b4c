/**
 * Delivery by Server-Sent Events ([HTML §9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html)):
 * one endless answer carries events down, and each request goes up as a POST of its own.
 */

import { LOST, closing } from "../codes.js";

/** @import { Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

export class SseTransport {
  /**
   * @param {string} base the server's address
   * @param {Observer} observer
   */
  constructor(base, observer) {
    this.base = base;
    this.observer = observer;
    /** @type {EventSource | null} */
    this.source = null;
  }

  /** @param {string} cursor */
  open(cursor) {
    const url = `${this.base}/events?after=${encodeURIComponent(cursor)}`;
    const source = new EventSource(url, { withCredentials: true });
    this.observer.onRecord({ direction: "up", what: "GET /events" });
    source.onopen = () => {
      this.observer.onRecord({ direction: "down", what: "open" });
      this.observer.onOpen();
    };
    source.onmessage = ({ data }) => {
      this.observer.onRecord({ direction: "down", what: "event", text: data });
      this.observer.onEvent(JSON.parse(data));
    };
    // EventSource would reconnect by itself, but at a fixed pace and only to this one server.
    source.onerror = () => {
      this.close();
      this.observer.onRecord({ direction: "end", what: "error: an EventSource does not say which" });
      this.observer.onClose(closing(LOST));
    };
    this.source = source;
  }

  /** @param {Request} request @returns {Promise<Reply>} */
  async send(request) {
    const { postCommand } = await import("./commands.js");
    return postCommand(this.base, request, this.observer);
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}
