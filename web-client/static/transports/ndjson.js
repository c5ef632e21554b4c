/**
 * Delivery by JSON lines ([NDJSON](https://github.com/ndjson/ndjson-spec)):
 * one endless answer carries an event on each line, and each request goes up as a POST of its own.
 */

import { problem } from "../api.js";
import { LOST, closing, refused } from "../codes.js";

/** @import { Closing, Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

export class NdjsonTransport {
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
    void this.run(cursor).then((why) => {
      if (this.stop.signal.aborted) return;
      this.observer.onRecord({ direction: "end", what: "the answer has ended" });
      this.observer.onClose(why);
    });
  }

  /** @param {Request} request @returns {Promise<Reply>} */
  async send(request) {
    const { postCommand } = await import("./commands.js");
    return postCommand(this.base, request, this.observer);
  }

  close() {
    this.stop.abort();
  }

  /** Reads to the end, and says why it ended. @param {string} cursor @returns {Promise<Closing>} */
  async run(cursor) {
    const { signal } = this.stop;
    this.observer.onRecord({ direction: "up", what: "GET /ndjson" });
    try {
      const url = `${this.base}/ndjson?after=${encodeURIComponent(cursor)}`;
      const response = await fetch(url, { credentials: "include", cache: "no-store", signal });
      if (!response.ok || !response.body) {
        const { status, code } = await problem(response);
        return refused(status, code);
      }
      this.observer.onRecord({ direction: "down", what: "open" });
      this.observer.onOpen();
      // What has come after the last whole line.
      let unread = "";
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
        const lines = (unread + value).split("\n");
        unread = lines.pop() ?? "";
        for (const line of lines) {
          if (signal.aborted) break;
          if (line !== "") this.take(line);
        }
      }
    } catch {
      // The connection broke; the browser does not say why.
    }
    return closing(LOST);
  }

  /** @param {string} line */
  take(line) {
    this.observer.onRecord({ direction: "down", what: "event", text: line });
    this.observer.onEvent(JSON.parse(line));
  }
}
