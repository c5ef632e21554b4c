/**
 * The transports by name. Each is a class with the methods of `Transport` in `types.js`, in that order.
 *
 * A transport is one connection: it is opened once, at a cursor, and closed once.
 * It knows nothing of users, conversations or coming back; the connection module does.
 */

/** @import { TransportName } from "../protocol.js" */
/** @import { Kind } from "../types.js" */

/** @type {Record<TransportName, Kind>} */
export const TRANSPORTS = {
  websocket: {
    label: "WebSocket",
    name: "WebSocket",
    server: "ws-server",
    how: "One socket, both ways.",
    load: async () => (await import("./websocket.js")).WebSocketTransport,
  },
  sse: {
    label: "SSE",
    name: "Server-Sent Events",
    server: "sse-server",
    how: "One endless answer down, a request for each message up.",
    load: async () => (await import("./sse.js")).SseTransport,
  },
  longpoll: {
    label: "Long polling",
    name: "Long polling",
    server: "longpoll-server",
    how: "A request that the server answers when there is news.",
    load: async () => (await import("./longpoll.js")).LongPollTransport,
  },
  shortpoll: {
    label: "Short polling",
    name: "Short polling",
    server: "longpoll-server",
    how: "A request every two seconds, news or not.",
    load: async () => (await import("./shortpoll.js")).ShortPollTransport,
  },
};
