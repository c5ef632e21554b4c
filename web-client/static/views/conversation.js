/**
 * One conversation: who is in it, what was said, and the place to say more.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { guard } from "../vendor/lit-html/directives/guard.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { blocks, rows, waiting } from "../model.js";
import { PATIENCE_MS } from "../outbox.js";
import { presence } from "./sidebar.js";
import { avatar, counted, dayOf, listed, nameOf, secondUser, sentence, timeOf, titleOf } from "./words.js";

/** @import { Message } from "../protocol.js" */
/** @import { Conversation, ConversationActions, ConversationView, Entry, Row, State } from "../types.js" */

/** Messages of one writer that follow each other within this time stand together under one name. */
const TOGETHER_MS = 5 * 60_000;
/** How many messages are drawn anew when one of them changes. */
const BLOCK = 50;
/** The composer grows with its text up to this many lines. */
const MAX_LINES = 8;

/** What the pane shows before anything is chosen.
 * @param {boolean} loaded whether it is known what there is to choose */
export function nothingOpen(loaded) {
  if (!loaded) return html`<p class="empty" aria-busy="true">One moment…</p>`;
  return html`
    <div class="empty">
      <h2>Pick somebody to talk to</h2>
      <p>Choose a person or a group on the left.</p>
      <p>To see both ends of a conversation: ${secondUser()}</p>
      <p>Then switch transports at the top of the page while you talk. The conversation goes on.</p>
    </div>
  `;
}

/** @param {ConversationView} view @param {ConversationActions} actions */
export function conversation(view, actions) {
  const { state, conversation: known, person } = view;
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
    </div>
    <div class="foot">
      ${toBottom(view, actions)}
      <p class="typing">${typing(state, known, view.now)}</p>
      ${known && !known.joined ? left(actions) : composer(view, name, actions)}
    </div>
  `;
}

/** @param {readonly Message[]} messages @param {readonly Entry[]} unsent */
function blocksOf(messages, unsent) {
  const all = blocks(messages, BLOCK);
  return all.length > 0 || unsent.length === 0 ? all : [{ key: 0, start: 0, end: 0 }];
}

/** Some messages that follow each other; drawn anew only when they look different.
 * @param {ConversationView} view
 * @param {{key: number, start: number, end: number}} block
 * @param {readonly Entry[]} unsent what stands below the last block
 * @param {ConversationActions} actions */
function block({ state, conversation: known, newAfter, now }, { start, end }, unsent, actions) {
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
        (row, index) => message(state, row, all[index - 1] ?? before, context, actions),
      )}
    </ol>`;
  };
  const first = messages[start - 1]?.seq ?? 0;
  const divided = newAfter >= first && newAfter < (messages[end - 1]?.seq ?? 0) ? newAfter : null;
  const today = new Date(now).toDateString();
  // What is unsent changes with time alone, so it is looked at each time.
  const looks = [messages[start - 1], messages[start], messages[end - 1], end - start, divided, today, state.users.size];
  return guard(entries.length > 0 ? [{}] : looks, draw);
}

/** @param {ConversationView} view @param {ConversationActions} actions */
function head({ state, conversation: known, person, leaving }, actions) {
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
        ${group ? html`<p class="sub">${who}</p>` : presence(state.users.get(known?.with ?? person?.id ?? ""))}
      </div>
      ${group && known.joined ? leave(title, leaving, actions) : nothing}
    </header>
  `;
}

/** Leaving asks once. @param {string} title @param {boolean} asked @param {ConversationActions} actions */
function leave(title, asked, actions) {
  const ask = (/** @type {boolean} */ wanted) => () => actions.askLeave(wanted);
  if (!asked) {
    return html`
      <button class="small" type="button" aria-label="Leave ${title}" @click=${ask(true)}>Leave…</button>
    `;
  }
  return html`
    <div class="ask" role="group" aria-label="Leave ${title}?">
      <button class="small danger" type="button" @click=${actions.leave}>Leave</button>
      <button class="small" type="button" @click=${ask(false)}>Stay</button>
    </div>
  `;
}

/** @param {ConversationView} view @param {ConversationActions} actions */
function toBottom({ below }, actions) {
  if (below === 0) return nothing;
  return html`<button class="to-bottom" type="button" @click=${actions.toBottom}>↓ ${below} new</button>`;
}

/** @param {ConversationView} view @param {number} count */
function beginning({ state, conversation: known, person }, count) {
  if (known && (known.history === "loading" || known.history === "unknown")) return "Reading older messages…";
  if (known?.history === "more") return nothing;
  if (known?.kind === "group")
    return count === 0 ? "Nothing has been said here yet." : "This is as far back as you can see.";
  const name = person?.name ?? (known ? titleOf(state, known) : "");
  return html`This is the beginning of your conversation with <bdi>${name}</bdi>.`;
}

/**
 * @param {State} state
 * @param {Row} row
 * @param {Row | undefined} before
 * @param {{newAfter: number, now: number, group: boolean}} context
 * @param {ConversationActions} actions
 */
function message(state, row, before, { newAfter, now, group }, actions) {
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
    before.from === row.from &&
    Date.parse(row.at) - Date.parse(before.at) < TOGETHER_MS;
  return html`
    <li class="message ${own ? "own" : "other"} ${together ? "together" : ""} ${row.entry ? "unsent" : ""}">
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
      ${row.entry && needsDecision(row.entry, now) ? decision(row.entry, actions) : nothing}
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

/** @param {Entry} entry @param {ConversationActions} actions */
function decision(entry, actions) {
  return html`
    <div class="decision">
      ${
        entry.state === "failed"
          ? html`<span class="error">${sentence(entry.refusal?.message ?? "")}</span>`
          : html`<span class="hint">It is sent as soon as the server answers.</span>`
      }
      <button class="link" type="button" @click=${() => actions.retry(entry.cid)}>Retry</button>
      <button class="link" type="button" @click=${() => actions.discard(entry.cid)}>Discard</button>
    </div>
  `;
}

/** @param {State} state @param {Conversation | undefined} conversation @param {number} now */
function typing(state, conversation, now) {
  const names = [...(conversation?.typing ?? [])]
    .filter(([, until]) => until > now)
    .map(([user]) => nameOf(state, user));
  if (names.length === 0) return nothing;
  return html`
    <span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>
    <bdi>${listed(names)}</bdi> ${names.length === 1 ? "is" : "are"} typing…
  `;
}

/** @param {ConversationActions} actions */
function left(actions) {
  return html`
    <div class="composer left">
      <p>You left this group: you can read what you saw of it, and not write.</p>
      <button class="primary" type="button" @click=${actions.join}>Join again</button>
    </div>
  `;
}

/** @param {ConversationView} view @param {string} title @param {ConversationActions} actions */
function composer({ draft }, title, actions) {
  // The field is asked, since what was typed a moment ago may not have been drawn yet.
  const submit = () => {
    const text = /** @type {HTMLTextAreaElement} */ (document.getElementById("composer")).value;
    if (text.trim() !== "") actions.say(text);
  };
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    // While an input method composes, Enter chooses a word. Key 229 is how older browsers say so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  };
  /** @param {InputEvent} event */
  const onInput = (event) => actions.draft(/** @type {HTMLTextAreaElement} */ (event.target).value);
  /** @param {SubmitEvent} event */
  const onSubmit = (event) => (event.preventDefault(), submit());
  return html`
    <form class="composer" @submit=${onSubmit}>
      <textarea
        id="composer" name="text" dir="auto" aria-label="Message to ${title}" placeholder="Message to ${title}"
        rows=${Math.min(MAX_LINES, draft.split("\n").length)} .value=${live(draft)} @keydown=${onKey}
        @input=${onInput}
      ></textarea>
      <button class="primary" type="submit" ?disabled=${draft.trim() === ""}>Send</button>
    </form>
  `;
}
