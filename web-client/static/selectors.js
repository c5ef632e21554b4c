/**
 * What the page derives from the state.
 *
 * Pure functions, like those of `model.js`, which make the state.
 */

/** @import { Message, To } from "./protocol.js" */
/** @import { Conversation, Entry, Row, State } from "./types.js" */

/** How many messages are unread. One's own never are: they move the read mark.
 * @param {Conversation} conversation */
export function unread({ readSeq, lastSeq }) {
  return Math.max(0, lastSeq - readSeq);
}

/** Whether the oldest unread message is loaded, with all that follow it.
 * @param {Conversation} conversation @param {number} readSeq */
export function reachesUnread({ messages, history }, readSeq) {
  return history === "complete" || (history === "more" && messages.length > 0 && messages[0].seq <= readSeq + 1);
}

/** The direct conversation with a user, once there is one.
 * @param {State} state
 * @param {string} user */
export function directWith(state, user) {
  return [...state.conversations.values()].find((conversation) => conversation.with === user);
}

/** The address to which messages of this conversation are sent.
 * A direct conversation is named by its other member, before and after it has an id.
 * @param {Conversation} conversation
 * @returns {To} */
export function addressOf(conversation) {
  return conversation.with === null ? { conversation: conversation.id } : { user: conversation.with };
}

/** What of the outbox is not among the loaded messages.
 * @param {State} state
 * @param {readonly Message[]} messages
 * @param {readonly Entry[]} entries
 * @returns {readonly Entry[]} */
export function waiting(state, messages, entries) {
  if (entries.length === 0) return entries;
  const own = new Set(messages.filter(({ from }) => from === state.me.id).map(({ cid }) => cid));
  return entries.filter(({ cid }) => !own.has(cid));
}

/** Where blocks of messages begin and end. A message stays in its block whatever is added before or after.
 * @param {readonly Message[]} messages
 * @param {number} size
 * @returns {{key: number, start: number, end: number}[]} */
export function blocks(messages, size) {
  /** @type {{key: number, start: number, end: number}[]} */
  const all = [];
  messages.forEach(({ seq }, index) => {
    const key = Math.floor((seq - 1) / size);
    const last = all.at(-1);
    if (last?.key === key) last.end = index + 1;
    else all.push({ key, start: index, end: index + 1 });
  });
  return all;
}

/** The loaded messages, then those of the outbox that are not among them, each once.
 * @param {State} state
 * @param {readonly Message[]} messages
 * @param {readonly Entry[]} entries those addressed to this conversation
 * @returns {Row[]} */
export function rows(state, messages, entries) {
  const { id: me } = state.me;
  const stored = messages.map((message) => ({
    key: message.from === me ? message.cid : String(message.seq),
    from: message.from,
    text: message.text,
    at: message.at,
    seq: message.seq,
    entry: null,
  }));
  const unsent = waiting(state, messages, entries).map((entry) => ({
    key: entry.cid,
    from: me,
    text: entry.text,
    at: entry.at,
    seq: null,
    entry,
  }));
  return [...stored, ...unsent];
}
