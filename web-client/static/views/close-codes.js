/**
 * Close codes in words.
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

/** A closing in words.
 * @param {Closing} ended
 */
export function inWords({ code, name }) {
  return WORDS[code] ?? `The server closed the connection (${code}${name && ` ${name}`}).`;
}
