/**
 * Groups and people: who is there, what can be joined, and what is unread.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { unread } from "../selectors.js";
import { avatar, counted, presence } from "./words.js";

/** @import { Group, Person } from "../protocol.js" */
/** @import { Conversation, Sidebar, SidebarActions, State } from "../types.js" */

/** More rows than this are found by typing. */
const MAX_ROWS = 100;

/** @param {Sidebar} sidebar @param {SidebarActions} actions */
export function sidebar({ state, loaded, cutOff, selected, filter, joining, creating, form, nobody }, actions) {
  const groups = groupRows(state, filter);
  const people = personRows(state, filter);
  /** @param {InputEvent} event */
  const onFilter = (event) => actions.filter(/** @type {HTMLInputElement} */ (event.target).value);
  const onNewGroup = () => actions.openNewGroup(!creating);
  const noGroups = filter ? "No group has that name." : "No groups yet. Make the first one.";
  return html`
    <nav class="sidebar" tabindex="-1" aria-label="Groups and people">
      <div class="find">
        <input
          id="find" type="search" placeholder="Find a group or a person" aria-label="Find a group or a person"
          autocomplete="off" .value=${filter}
          @keydown=${openFirst}
          @input=${onFilter}
        />
      </div>
      <div class="lists">
        <section aria-labelledby="groups-title">
          <header>
            <h2 id="groups-title">Groups</h2>
            <button class="quiet" type="button" aria-expanded=${creating} @click=${onNewGroup}>
              ${creating ? "Cancel" : "New group"}
            </button>
          </header>
          ${form}
          <ul>
            ${repeat(
              groups.slice(0, MAX_ROWS),
              (row) => row.group.conversation,
              (row) => groupRow(row, selected, joining, actions),
            )}
          </ul>
          ${groups.length > 0 ? rest(groups.length) : hint(loaded, noGroups)}
        </section>
        <section aria-labelledby="people-title">
          <header><h2 id="people-title">People</h2></header>
          <ul>
            ${repeat(
              people.slice(0, MAX_ROWS),
              (row) => row.person.id,
              (row) => personRow(row, cutOff, selected),
            )}
          </ul>
          ${people.length > 0 ? rest(people.length) : hint(loaded, filter ? "Nobody has that name." : nobody)}
        </section>
      </div>
    </nav>
  `;
}

/** Why a list is empty. @param {boolean} loaded @param {unknown} text */
const hint = (loaded, text) => (loaded ? html`<p class="hint">${text}</p>` : nothing);

/** Enter opens the topmost result. @param {KeyboardEvent} event */
function openFirst(event) {
  const first = /** @type {HTMLElement | null} */ (document.querySelector(".lists a.entry"));
  if (event.key !== "Enter" || event.isComposing || !first) return;
  first.focus();
  first.click();
}

/** @param {number} count */
const rest = (count) =>
  count > MAX_ROWS ? html`<p class="hint">…and ${count - MAX_ROWS} more: type above to find them.</p>` : nothing;

/** @param {{group: Group, conversation: Conversation | undefined}} row
 * @param {string | null} selected @param {string | null} joining @param {SidebarActions} actions */
function groupRow({ group, conversation }, selected, joining, actions) {
  const id = group.conversation;
  const label = html`
    ${avatar(id, group.name, "group")}
    <span class="who">
      <span class="name" dir="auto">${group.name}</span>
      <span class="sub">${conversation?.joined ? counted(conversation.members.size, "member") : "anyone can join"}</span>
    </span>
    ${conversation?.joined ? badge(unread(conversation)) : nothing}
  `;
  return html`
    <li class=${id === selected ? "selected" : ""}>
      ${conversation ? link(id, id === selected, label) : html`<span class="entry">${label}</span>`}
      ${group.joined ? nothing : joinButton(group, joining === id, actions)}
    </li>
  `;
}

/** @param {{person: Person, conversation: Conversation | undefined}} row
 * @param {boolean} cutOff @param {string | null} selected */
function personRow({ person, conversation }, cutOff, selected) {
  const id = conversation?.id ?? person.id;
  const label = html`
    ${avatar(person.id, person.name, "person")}
    <span class="who"><span class="name" dir="auto">${person.name}</span>${presence(person, cutOff)}</span>
    ${conversation ? badge(unread(conversation)) : nothing}
  `;
  return html`<li class=${id === selected ? "selected" : ""}>${link(id, id === selected, label)}</li>`;
}

/** @param {string} id @param {boolean} current @param {unknown} label */
function link(id, current, label) {
  return html`<a class="entry" href="#/${id}" aria-current=${current ? "page" : nothing}>${label}</a>`;
}

/** @param {Group} group @param {boolean} busy @param {SidebarActions} actions */
function joinButton({ conversation, name }, busy, actions) {
  const join = () => actions.join(conversation);
  return html`<button class="small" type="button" aria-disabled=${busy} aria-label="Join ${name}" @click=${join}>
    Join
  </button>`;
}

/** @param {number} count */
function badge(count) {
  if (count === 0) return nothing;
  return html`<span class="unread">${count > 99 ? "99+" : count}<span class="visually-hidden"> unread</span></span>`;
}

/** One's own groups first, the last active on top; then what can be joined, by name.
 * @param {State} state @param {string} filter */
function groupRows(state, filter) {
  return [...state.groups.values()]
    .filter((group) => matches(group.name, filter))
    .map((group) => ({ group, conversation: state.conversations.get(group.conversation) }))
    .sort(
      (a, b) =>
        Number(b.group.joined) - Number(a.group.joined) ||
        activity(b.conversation) - activity(a.conversation) ||
        a.group.name.localeCompare(b.group.name),
    );
}

/** Those one talks with first, the last active on top; then who is online, by name.
 * @param {State} state @param {string} filter */
function personRows(state, filter) {
  const directs = new Map([...state.conversations.values()].map((conversation) => [conversation.with, conversation]));
  return [...state.users.values()]
    .filter((person) => person.id !== state.me.id && matches(person.name, filter))
    .map((person) => ({ person, conversation: directs.get(person.id) }))
    .sort(
      (a, b) =>
        activity(b.conversation) - activity(a.conversation) ||
        Number(b.person.online) - Number(a.person.online) ||
        a.person.name.localeCompare(b.person.name),
    );
}

/** @param {Conversation | undefined} conversation */
const activity = (conversation) => (conversation ? conversation.activity + 1 : 0);

/** @param {string} name @param {string} filter */
const matches = (name, filter) => name.toLocaleLowerCase().includes(filter.trim().toLocaleLowerCase());
