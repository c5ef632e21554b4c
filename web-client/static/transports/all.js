/**
 * The transports. Each is a class with the methods of `Transport` in `types.js`, in that order.
 *
 * An instance is one connection: it is opened once, at a cursor, and closed once. It knows nothing of users,
 * conversations or reconnecting. The server lists the transports of its launch, with their texts.
 */

/** @import { ServerAddress, TransportName } from "../protocol.js" */
/** @import { TransportClass } from "../types.js" */

/** Each is loaded when it is used.
 * @type {Record<TransportName, () => Promise<TransportClass>>} */
const CLASSES = {
  websocket: async () => (await import("./websocket.js")).WebSocketTransport,
  sse: async () => (await import("./sse.js")).SseTransport,
  longpoll: async () => (await import("./polling.js")).LongPollTransport,
  shortpoll: async () => (await import("./polling.js")).ShortPollTransport,
  ndjson: async () => (await import("./ndjson.js")).NdjsonTransport,
};

/** @type {Map<TransportName, ServerAddress>} */
const listed = new Map();

/** Takes in a server's list, without what has no class here. @param {ServerAddress[]} servers */
export function learn(servers) {
  const known = servers.filter(({ name }) => Object.hasOwn(CLASSES, name));
  for (const server of known) listed.set(server.name, server);
  return known;
}

/** The class of a transport. @param {TransportName} name */
export const load = (name) => CLASSES[name]();

/** A transport's short name within a sentence. @param {TransportName} name */
export const label = (name) => listed.get(name)?.label ?? name;

/** @param {string} text */
export const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
