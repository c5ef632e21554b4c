/**
 * Names, times and counts as people read them; what several views share.
 */

import { html } from "../vendor/lit-html/lit-html.js";

/** @import { Person } from "../protocol.js" */
/** @import { Conversation, State } from "../types.js" */

/** How many colours there are for people and groups; `style.css` has one class for each. */
const HUES = 8;
const DAY_MS = 86_400_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayThisYear = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOtherYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/** @param {string} at */
export const timeOf = (at) => clock.format(new Date(at));

/** The day of a moment, as a heading.
 * @param {string} at
 * @param {number} now */
export function dayOf(at, now) {
  const date = new Date(at);
  if (date.toDateString() === new Date(now).toDateString()) return "Today";
  if (date.toDateString() === new Date(now - DAY_MS).toDateString()) return "Yesterday";
  return (date.getFullYear() === new Date(now).getFullYear() ? dayThisYear : dayOtherYear).format(date);
}

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export const wordmark = () => html`<img src="/icon.svg" alt="" width="24" height="24" />Switchboard`;


/** @param {State} state @param {string} user */
export const nameOf = (state, user) => (user === state.me.id ? state.me.name : (state.users.get(user)?.name ?? user));

/** @param {State} state @param {Conversation} conversation */
export const titleOf = (state, conversation) =>
  conversation.with === null ? conversation.name : nameOf(state, conversation.with);

/** A server's text for people, as a sentence: it comes without a capital and a full stop.
 * @param {string} text */
export function sentence(text) {
  const end = text === "" || /[.!?…]$/.test(text) ? "" : ".";
  return text.slice(0, 1).toUpperCase() + text.slice(1) + end;
}

/** "Ann", "Ann and Bob", "Ann, Bob and 3 others".
 * @param {string[]} names */
export function listed(names) {
  if (names.length > 3) return `${names.slice(0, 2).join(", ")} and ${names.length - 2} others`;
  return [names.slice(0, -1).join(", "), names.at(-1) ?? ""].filter(Boolean).join(" and ");
}

/** A coloured disc or square with a first letter; decoration, since the name always stands beside it.
 * @param {string} id what the colour is made from
 * @param {string} name
 * @param {"person" | "group"} kind */
export function avatar(id, name, kind) {
  const sum = Array.from(id, (letter) => letter.codePointAt(0) ?? 0).reduce((a, b) => (a * 31 + b) % 997, 0);
  const letter = kind === "group" ? "#" : (Array.from(name)[0] ?? "?").toUpperCase();
  return html`<span class="avatar ${kind} hue-${sum % HUES}" aria-hidden="true">${letter}</span>`;
}

/** A dot and the word. @param {Person | undefined} person @param {boolean} cutOff whether presence is unknown */
export function presence(person, cutOff) {
  const known = person?.online ? "online" : "away";
  const word = cutOff ? "unknown" : known;
  return html`<span class="sub presence ${word}">${word}</span>`;
}
