/**
 * One conversation: who is in it, what was said, and the place to say more.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { guard } from "../vendor/lit-html/directives/guard.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { blocks, rows, waiting } from "../selectors.js";
import { composer } from "./composer.js";
import { message } from "./message.js";
import { avatar, counted, listed, nameOf, presence, titleOf } from "./words.js";

/** @import { Message } from "../protocol.js" */
/** @import { ConversationActions, ConversationView, Entry } from "../types.js" */

/** How many messages are drawn anew when one of them changes. */
const BLOCK = 25;

/** @param {ConversationView} view @param {ConversationActions} actions */
export function conversation(view, actions) {
  const { state, conversation: known, person, late } = view;
  const messages = known?.messages ?? [];
  const unsent = waiting(state, messages, view.entries);
  const name = known ? titleOf(state, known) : (person?.name ?? "");
  return html`
    ${head(view, actions)}
    <div class="scroller" id="messages" tabindex="0" role="region" aria-label="Messages">
      <div class="notice">${beginning(view, messages.length + unsent.length)}</div>
      <div class="messages">
        ${repeat(
          blocksOf(messages, unsent),
          ({ key }) => `${known?.id} ${key}`,
          (one) => block(view, one, unsent, actions),
        )}
      </div>
      <div class="messages-end">${known ? late?.lines(state, known, messages.at(-1)?.seq ?? 0, Infinity) : nothing}</div>
    </div>
    <div class="foot">
      ${late?.toBottom(view, actions)}
      <p class="typing">${late?.typing(state, known, view.now)}</p>
      ${known && !known.joined ? late?.left(actions) : composer(view, name, actions)}
    </div>
  `;
}

/** @param {readonly Message[]} messages @param {readonly Entry[]} unsent */
function blocksOf(messages, unsent) {
  const all = blocks(messages, BLOCK);
  return all.length > 0 || unsent.length === 0 ? all : [{ key: 0, start: 0, end: 0 }];
}

/** Successive messages, drawn anew only when they look different.
 * @param {ConversationView} view
 * @param {{key: number, start: number, end: number}} block
 * @param {readonly Entry[]} unsent what stands below the last block
 * @param {ConversationActions} actions */
function block({ state, conversation: known, newAfter, now, late }, { start, end }, unsent, actions) {
  const messages = known?.messages ?? [];
  const entries = end === messages.length ? unsent : [];
  const draw = () => {
    const [before] = start > 0 ? rows(state, messages.slice(start - 1, start), []) : [];
    const all = rows(state, messages.slice(start, end), entries);
    const context = { newAfter, now, group: known?.kind === "group" };
    return html`<ol class="block">
      ${repeat(
        all,
        ({ key }) => key,
        (row, index) => {
          const last = all[index - 1] ?? before;
          const above = known && row.seq !== null ? late?.lines(state, known, last?.seq ?? 0, row.seq) : [];
          return message(state, row, last, context, above ?? [], (entry) => late?.decision(entry, actions));
        },
      )}
    </ol>`;
  };
  const first = messages[start - 1]?.seq ?? 0;
  const divided = newAfter >= first && newAfter < (messages[end - 1]?.seq ?? 0) ? newAfter : null;
  const today = new Date(now).toDateString();
  // Unsent messages change with time alone, so they are always drawn.
  const looks = [messages[start - 1], messages[start], messages[end - 1], end - start, divided, today, state.users.size];
  const around = [late, known?.notes, end === messages.length && known?.wholeSeq, start === 0 && known?.history === "complete"];
  return guard(entries.length > 0 ? [{}] : [...looks, ...around], draw);
}

/** @param {ConversationView} view @param {ConversationActions} actions */
function head({ state, conversation: known, person, cutOff, leaving, late }, actions) {
  const title = known ? titleOf(state, known) : (person?.name ?? "");
  const group = known?.kind === "group";
  const names = group
    ? [...known.members].map((member) => nameOf(state, member)).sort((a, b) => a.localeCompare(b))
    : [];
  const who = known?.joined ? `${counted(names.length, "member")}: ${listed(names)}` : "You left this group";
  return html`
    <header class="head">
      <a class="back" href="#/" aria-label="Back to groups and people">←</a>
      ${avatar(known?.with ?? known?.id ?? person?.id ?? "", title, group ? "group" : "person")}
      <div class="who">
        <h2 class="name" dir="auto">${title}</h2>
        ${group ? html`<p class="sub">${who}</p>` : presence(state.users.get(known?.with ?? person?.id ?? ""), cutOff)}
      </div>
      ${group && known.joined ? (leaving ? late?.askLeave(title, actions) : leaveButton(title, actions)) : nothing}
    </header>
  `;
}

/** @param {string} title @param {ConversationActions} actions */
function leaveButton(title, actions) {
  const ask = () => actions.askLeave(true);
  return html`<button class="small" type="button" aria-label="Leave ${title}" @click=${ask}>Leave…</button>`;
}

/** @param {ConversationView} view @param {number} count */
function beginning({ state, conversation: known, person }, count) {
  if (known && (known.history === "loading" || known.history === "unknown")) return "Reading older messages…";
  if (known?.history === "damaged") return "The server's database is damaged: older messages cannot be read.";
  if (known?.history === "more") return nothing;
  if (known?.kind === "group") {
    // Messages from before this user joined have a line of their own.
    if ((known.messages[0]?.seq ?? known.wholeSeq + 1) > 1) return nothing;
    return count === 0 ? "Nothing has been said here yet." : "This is the beginning of the group.";
  }
  const name = person?.name ?? (known ? titleOf(state, known) : "");
  return html`This is the beginning of your conversation with <bdi>${name}</bdi>.`;
}
