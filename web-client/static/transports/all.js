/**
 * The transports by name, and the interface that each of them has, with its methods in this order.
 *
 * A transport is one connection: it is opened once, at a cursor, and closed once.
 * It knows nothing of users, conversations or coming back; the connection module does.
 */

import { LongPollTransport } from "./longpoll.js";
import { ShortPollTransport } from "./shortpoll.js";
import { SseTransport } from "./sse.js";
import { WebSocketTransport } from "./websocket.js";

/** @import { Closing, Event, Reply, Request, TransportName } from "../protocol.js" */

/**
 * @typedef {object} Transport
 * @property {(cursor: string) => void} open asks for everything after the cursor, from now on
 * @property {(request: Request) => Promise<Reply>} send fails with {@link Unanswered} where no reply came
 * @property {() => void} close ends it from this side; the observer hears nothing more
 */
/**
 * Whoever listens to a transport.
 * @typedef {object} Observer
 * @property {() => void} onOpen the server is there; a poll says so with every answer
 * @property {(event: Event) => void} onEvent
 * @property {(closing: Closing) => void} onClose it has ended from the other side, or on the way
 */

/**
 * @typedef {object} Kind
 * @property {string} label what it is called where there is little room
 * @property {string} name
 * @property {string} server which server speaks it
 * @property {string} how what it does, in a few words
 * @property {new (base: string, observer: Observer) => Transport} Transport
 */

/** @type {Record<TransportName, Kind>} */
export const TRANSPORTS = {
  websocket: {
    label: "WebSocket",
    name: "WebSocket",
    server: "ws-server",
    how: "One socket, both ways.",
    Transport: WebSocketTransport,
  },
  sse: {
    label: "SSE",
    name: "Server-Sent Events",
    server: "sse-server",
    how: "One endless answer down, a request for each message up.",
    Transport: SseTransport,
  },
  longpoll: {
    label: "Long polling",
    name: "Long polling",
    server: "longpoll-server",
    how: "A request that the server answers when there is news.",
    Transport: LongPollTransport,
  },
  shortpoll: {
    label: "Short polling",
    name: "Short polling",
    server: "longpoll-server",
    how: "A request every two seconds, news or not.",
    Transport: ShortPollTransport,
  },
};
