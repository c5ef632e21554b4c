/**
 * Texts for close codes, and for refusals that are about the server and not about the request.
 *
 * Loaded late.
 */

/** @import { Closing } from "../protocol.js" */

/** @type {Record<number, string>} */
const WORDS = {
  1000: "The connection was closed in good order.",
  1001: "The server went away.",
  1002: "The server did not understand this page.",
  1003: "The server could not use what this page sent.",
  1006: "The connection broke off without a goodbye: the server stopped, or the network did.",
  1007: "The server got text that is not UTF-8.",
  1009: "The server got a message larger than it accepts.",
  1011: "The server had an error of its own.",
  4001: "The server is shutting down.",
  4002: "The server did not hear from this page for too long.",
  4008: "This page read more slowly than the server may wait.",
  4029: "This page asked too much too fast.",
  4409: "The server does not know this page's place in the history.",
  4410: "This page was away for longer than the server keeps events.",
  4500: "The server did not understand this page.",
  4502: "Your session has expired.",
  4503: "You signed out elsewhere.",
  4504: "You have too many connections open. Close another tab first.",
};

/** @type {Record<string, string>} */
const NAMED = {
  busy: "The server has too much to do at this moment.",
  internal: "The server had an error of its own.",
  shutting_down: "The server is shutting down.",
  storage_damaged: "The server's database is damaged. Its operator has to restore a copy of it.",
  storage_unavailable: "The server cannot reach its disk at this moment.",
};

/** What the name of a refusal says about the server; undefined if it is about something else. @param {string} name */
export const namedInWords = (name) => (Object.hasOwn(NAMED, name) ? NAMED[name] : undefined);

/** A closing in words.
 * @param {Closing} ended
 */
export function inWords({ code, name }) {
  return namedInWords(name) ?? WORDS[code] ?? `The server closed the connection (${code}${name && ` ${name}`}).`;
}
