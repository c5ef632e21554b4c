/**
 * Making, joining and leaving groups.
 *
 * Loaded late.
 */

import { newCid } from "./outbox.js";

/** @import { SharedConnection } from "./shared.js" */
/** @import { Command, Ok } from "./protocol.js" */

/** How often a request without a reply is made again before its user is told. */
const ATTEMPTS = 3;

/** A refusal as an error, with its message for people. */
class Refused extends Error {}

/** @param {SharedConnection} connection @param {string} name @returns {Promise<string>} the new conversation's id */
export async function createGroup(connection, name) {
  const ok = await ask(connection, { type: "create_group", name, cid: newCid() });
  if (ok.type !== "group_created") throw new Error("The server answered something else.");
  return ok.conversation;
}

/** @param {SharedConnection} connection @param {string} conversation */
export function joinGroup(connection, conversation) {
  return ask(connection, { type: "join_group", conversation });
}

/** @param {SharedConnection} connection @param {string} conversation */
export function leaveGroup(connection, conversation) {
  return ask(connection, { type: "leave_group", conversation });
}

/** Makes a request until it has an answer: each of these may be repeated.
 * @param {SharedConnection} connection
 * @param {Command} command
 * @returns {Promise<Ok>} */
async function ask(connection, command) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { ok, refusal } = await connection.send(command);
      if (refusal) throw new Refused(refusal.message);
      if (ok) return ok;
    } catch (error) {
      if (error instanceof Refused || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * attempt));
    }
  }
}
