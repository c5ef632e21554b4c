/**
 * What happened between two messages of a group.
 *
 * Loaded late.
 */

/** @import { Conversation, Note } from "./types.js" */

/** What happened between two neighbouring messages, in order: who joined or left, and how many messages are missing
 * because this user was not a member. In every other place, each `seq` has its message.
 * @param {Conversation} conversation
 * @param {number} after the seq of the message above; 0: there is none
 * @param {number} before the seq of the message below; Infinity: there is none
 * @returns {(Note | {missing: number, first: boolean})[]} */
export function between({ kind, notes, wholeSeq, messages, history }, after, before) {
  if (kind !== "group") return [];
  const here = notes.filter((note) => note.after < before && note.after >= after);
  const missing = Math.min(before - 1, wholeSeq) - after;
  // Above the first loaded message there is history to load, or what was written before this user joined.
  if (missing <= 0 || (after === 0 && messages.length > 0 && history !== "complete")) return here;
  const leaving = here.filter((note) => note.after === after);
  return [...leaving, { missing, first: after === 0 }, ...here.slice(leaving.length)];
}
