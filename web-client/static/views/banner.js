/**
 * What is the matter with the connection, in words, and what can be done about it.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { LOST, inWords, needsSignIn } from "../codes.js";
import { TRANSPORTS } from "../transports/all.js";
import { counted, sentence } from "./words.js";

/** @import { Status } from "../connection.js" */
/** @import { ServerAddress, TransportName } from "../protocol.js" */

/** A connection that is back within this time was never missed. */
export const UNNOTICED_MS = 1_000;
const START_AGAIN = "Start it again with the command that started this page.";
/** After this many attempts in vain another transport is suggested. */
const ATTEMPTS = 3;

/**
 * @typedef {object} Banner
 * @property {Status} status
 * @property {ServerAddress[]} servers
 * @property {{messages: number} | null} caughtUp what came after a loss that has just ended
 * @property {string} problem something else that went wrong
 * @property {number} now
 */
/**
 * @typedef {object} Actions
 * @property {() => void} tryNow
 * @property {() => void} signInAgain
 * @property {(transport: TransportName) => void} choose
 * @property {() => void} dismiss
 */

/** @param {Banner} view @param {Actions} actions */
export function banner(view, actions) {
  return html`<div class="banners" role="status">${connection(view, actions)}${other(view, actions)}</div>`;
}

/** @param {Banner} view @param {Actions} actions */
function connection({ status, servers, caughtUp, now }, actions) {
  if (status.state === "live") {
    if (!caughtUp) return nothing;
    const news =
      caughtUp.messages > 0 ? `Caught up on ${counted(caughtUp.messages, "message")}.` : "Nothing was missed.";
    return line("good", html`Back online. ${news}`);
  }
  if (status.state === "ended") {
    if (needsSignIn(status.closing)) {
      return line(
        "bad",
        inWords(/** @type {NonNullable<typeof status.closing>} */ (status.closing)),
        button("Sign in again", actions.signInAgain),
      );
    }
    return line(
      "bad",
      status.closing ? inWords(status.closing) : "The connection has ended.",
      button("Try again", actions.tryNow),
    );
  }
  if (status.lostAt !== null && now - status.lostAt < UNNOTICED_MS) return nothing;
  const wait = Math.max(1, Math.ceil(((status.retryAt ?? now) - now) / 1000));
  const again = status.retryAt === null ? "Trying now…" : `Trying again in ${wait} s.`;
  if (status.state === "offline") {
    return line(
      "warn",
      html`You are offline. What you write is kept and sent later. ${again}`,
      button("Try now", actions.tryNow),
    );
  }
  if (status.closing === null) return line("warn", "Connecting…");
  const others =
    status.failures < ATTEMPTS || status.starting ? [] : servers.filter(({ name }) => name !== status.transport);
  return line(
    "warn",
    html`${reason(status, servers)} ${again}`,
    button("Try now", actions.tryNow),
    ...others.map(({ name }) => button(`Use ${TRANSPORTS[name].label}`, () => actions.choose(name))),
  );
}

/** @param {Status} status @param {ServerAddress[]} servers */
function reason({ closing, failures, transport, starting }, servers) {
  if (failures >= ATTEMPTS && starting) return `Nothing answers at ${location.host}. ${START_AGAIN}`;
  if (failures < ATTEMPTS) return closing && closing.code !== LOST ? inWords(closing) : "Connection lost.";
  const port = servers.find(({ name }) => name === transport)?.port;
  return `Nothing answers at ${TRANSPORTS[transport].server} (${location.hostname}:${port}). ${START_AGAIN}`;
}

/** @param {Banner} view @param {Actions} actions */
function other({ problem }, actions) {
  return problem === "" ? nothing : line("bad", sentence(problem), button("Close", actions.dismiss));
}

/** @param {"good" | "warn" | "bad"} kind @param {unknown} text @param {unknown[]} buttons */
function line(kind, text, ...buttons) {
  return html`<div class="banner ${kind}"><p>${text}</p>${buttons}</div>`;
}

/** @param {string} text @param {() => void} onClick */
function button(text, onClick) {
  return html`<button class="small" type="button" @click=${onClick}>${text}</button>`;
}
