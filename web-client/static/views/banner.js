/**
 * What is wrong with the connection, in words, and what the user can do about it.
 *
 * Loaded late.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { UNNOTICED_MS } from "../backoff.js";
import { LOST, needsSignIn } from "../codes.js";
import { label } from "../transports/all.js";
import { inWords, namedInWords } from "./close-codes.js";
import { counted, sentence } from "./words.js";

/** @import { ServerAddress, TransportName } from "../protocol.js" */
/** @import { Avoided, Banner, BannerActions, Status } from "../types.js" */

const START_AGAIN = "Start it again with the command that started this page.";
/** After this many failed attempts, another transport is suggested. */
const ATTEMPTS = 3;

/** @param {Banner} view @param {BannerActions} actions */
export function banner(view, actions) {
  return html`<div class="banners" role="status">${connection(view, actions)}${other(view, actions)}</div>`;
}

/** @param {Banner} view @param {BannerActions} actions */
function connection({ status, servers, caughtUp, now }, actions) {
  if (status.state === "live") {
    if (status.unanswering) {
      const text = "The server is not answering. What you write is kept and sent when it does.";
      return line("warn", text, button("Try a new connection", actions.tryNow));
    }
    if (status.avoided) return fallenBack(status, status.avoided, servers, actions);
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
  const stuck = status.blocked || (status.failures >= ATTEMPTS && !status.starting);
  const others = stuck ? servers.filter(({ name }) => name !== status.transport) : [];
  return line(
    "warn",
    html`${reason(status, servers)} ${again}`,
    button("Try now", actions.tryNow),
    ...others.map(({ name }) => button(`Use ${label(name)}`, () => actions.choose(name))),
  );
}

/** @param {Status} status @param {ServerAddress[]} servers */
function reason({ closing, failures, transport, starting, blocked }, servers) {
  if (blocked) return `This network seems to block ${label(transport)}.`;
  const known = closing && namedInWords(closing.name);
  if (known) return known;
  if (failures >= ATTEMPTS && starting) return `Nothing answers at ${location.host}. ${START_AGAIN}`;
  if (failures < ATTEMPTS) return closing && closing.code !== LOST ? inWords(closing) : "Connection lost.";
  return nobody(transport, servers);
}

/** @param {TransportName} transport @param {ServerAddress[]} servers */
function nobody(transport, servers) {
  const listed = servers.find(({ name }) => name === transport);
  return `Nothing answers at ${listed?.server} (${location.hostname}:${listed?.port}). ${START_AGAIN}`;
}

/** The page fell back to another transport by itself: why, and the way back.
 * @param {Status} status @param {Avoided} avoided @param {ServerAddress[]} servers @param {BannerActions} actions */
function fallenBack({ transport }, { transport: wanted, why }, servers, actions) {
  const [there, here] = [wanted, transport].map(label);
  const reason = why === "gone" ? nobody(wanted, servers) : `This network seems to block ${there}.`;
  const others = servers.filter(({ name }) => name !== transport && name !== wanted);
  return line(
    "warn",
    `${reason} The chat goes on over ${here}.`,
    button(`Try ${there} again`, () => actions.choose(wanted)),
    ...others.map(({ name }) => button(`Use ${label(name)}`, () => actions.choose(name))),
    button(`Stay with ${here}`, () => actions.choose(transport)),
  );
}

/** @param {Banner} view @param {BannerActions} actions */
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
