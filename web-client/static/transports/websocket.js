/**
 * Delivery by WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)):
 * one socket carries requests up, and replies and events down.
 */

import { closing } from "../codes.js";
import { REPLY_TIMEOUT_MS, Unanswered } from "./unanswered.js";

/** @import { Event, Reply, Request } from "../protocol.js" */
/** @import { Observer } from "../types.js" */

export class WebSocketTransport {
  /**
   * @param {string} base the server's address
   * @param {Observer} observer
   */
  constructor(base, observer) {
    this.base = base.replace(/^http/, "ws");
    this.observer = observer;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** What to do with the reply to each request that has none yet, by `request_id`.
     * @type {Map<string, (reply: Reply | null) => void>} */
    this.waiting = new Map();
  }

  /** @param {string} cursor */
  open(cursor) {
    const socket = new WebSocket(`${this.base}/ws?after=${encodeURIComponent(cursor)}`);
    this.observer.onRecord({ direction: "up", what: "GET /ws, Upgrade: websocket" });
    socket.onopen = () => {
      this.observer.onRecord({ direction: "down", what: "open" });
      this.observer.onOpen();
    };
    socket.onmessage = ({ data }) => {
      this.observer.onRecord({ direction: "down", what: "message", text: data });
      this.receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      this.close();
      this.observer.onRecord({ direction: "end", what: `close ${code}`, closing: closing(code) });
      this.observer.onClose(closing(code));
    };
    this.socket = socket;
  }

  /** @param {Request} request @returns {Promise<Reply>} */
  send(request) {
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) return reject(new Unanswered());
      const timer = setTimeout(() => this.settle(request.request_id, null), REPLY_TIMEOUT_MS);
      this.waiting.set(request.request_id, (reply) => {
        clearTimeout(timer);
        if (reply) resolve(reply);
        else reject(new Unanswered());
      });
      const text = JSON.stringify(request);
      this.observer.onRecord({ direction: "up", what: "message", text });
      this.socket.send(text);
    });
  }

  close() {
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
    for (const id of [...this.waiting.keys()]) this.settle(id, null);
  }

  /** Replies and events come down the same socket; only a reply has a request waiting for it.
   * @param {Event | Reply} frame */
  receive(frame) {
    if (frame.type === "reply") this.settle(frame.request_id ?? "", frame);
    else this.observer.onEvent(frame);
  }

  /** @param {string} id @param {Reply | null} reply */
  settle(id, reply) {
    const done = this.waiting.get(id);
    this.waiting.delete(id);
    done?.(reply);
  }
}
