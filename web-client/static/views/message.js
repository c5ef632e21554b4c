/**
 * One message: its headings, what it says, and whether it is sent.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { PATIENCE_MS } from "../outbox.js";
import { avatar, dayOf, nameOf, timeOf } from "./words.js";

/** @import { Entry, Row, State } from "../types.js" */

/** Messages of one writer that follow each other within this time stand together under one name. */
const TOGETHER_MS = 5 * 60_000;

/**
 * @param {State} state
 * @param {Row} row
 * @param {Row | undefined} before
 * @param {{newAfter: number, now: number, group: boolean}} context
 * @param {unknown[]} above what happened since the message before
 * @param {(entry: Entry) => unknown} decision what can be done about one that is not sent
 */
export function message(state, row, before, { newAfter, now, group }, above, decision) {
  const own = row.from === state.me.id;
  const name = nameOf(state, row.from);
  const day = dayOf(row.at, now);
  const newDay = !before || dayOf(before.at, now) !== day;
  const isNew = (/** @type {Row | undefined} */ one) =>
    one !== undefined && one.seq !== null && one.seq > newAfter && one.from !== state.me.id;
  const firstNew = isNew(row) && !(before && before.seq !== null && before.seq > newAfter);
  const together =
    before !== undefined &&
    !newDay &&
    !firstNew &&
    above.length === 0 &&
    before.from === row.from &&
    Date.parse(row.at) - Date.parse(before.at) < TOGETHER_MS;
  return html`
    <li class="message ${own ? "own" : "other"} ${together ? "together" : ""} ${row.entry ? "unsent" : ""}" data-seq=${row.seq ?? 0}>
      ${above}
      ${newDay ? html`<p class="day"><span>${day}</span></p>` : nothing}
      ${firstNew ? html`<p class="divider"><span>New</span></p>` : nothing}
      <div class="line">
        ${own || !group ? nothing : avatar(row.from, name, "person")}
        <div class="bubble">
          <p class="from ${own || !group || together ? "visually-hidden" : ""}" dir="auto">${own ? "You" : name}</p>
          <p class="text" dir="auto">${row.text}</p>
          <p class="meta">${row.entry ? underWay(row.entry, now) : stored(row, own)}</p>
        </div>
      </div>
      ${row.entry && needsDecision(row.entry, now) ? decision(row.entry) : nothing}
    </li>
  `;
}

/** @param {Row} row @param {boolean} own */
function stored(row, own) {
  const time = html`<time datetime=${row.at}>${timeOf(row.at)}</time>`;
  if (!own) return time;
  return html`${time} <span aria-hidden="true" title="The server has stored it">✓</span>
    <span class="visually-hidden">sent</span>`;
}

/** @param {Entry} entry @param {number} now */
function underWay(entry, now) {
  if (entry.state === "failed") return html`<b class="error">failed</b>`;
  return needsDecision(entry, now) ? "not sent yet" : "sending…";
}

/** @param {Entry} entry @param {number} now */
const needsDecision = (entry, now) => entry.state === "failed" || now - entry.since >= PATIENCE_MS;
