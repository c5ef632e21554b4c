/**
 * Making, joining and leaving groups.
 *
 * Loaded late.
 */

import { isPassing, newCid } from "./outbox.js";

/** @import { Page } from "./page.js" */
/** @import { SharedConnection } from "./shared.js" */
/** @import { Command, Ok } from "./protocol.js" */

/** How often a request is tried before the user sees its failure. */
const ATTEMPTS = 3;
/** The `cid` of each group whose creation has an unknown outcome, by name: a retry makes the same group.
 * @type {Map<string, string>} */
const unsettled = new Map();

/** A refusal as an error, with its message for people. */
class Refused extends Error {}

/** Opens the form, or closes it. @param {Page} page @param {boolean} open */
export async function openForm(page, open) {
  await page.deferred.loadViews();
  page.ui.newGroup = { open, busy: false, error: "" };
  page.drawNow();
  document.getElementById("new-group")?.focus();
}

/** The form closes when the new group is there. @param {Page} page @param {string} typed */
export async function create(page, typed) {
  const { chat, ui } = page;
  if (ui.newGroup.busy) return;
  const name = typed.trim();
  ui.newGroup = { open: true, busy: true, error: "" };
  page.draw();
  const cid = unsettled.get(name) ?? newCid();
  unsettled.set(name, cid);
  try {
    const ok = await ask(chat.connection, { type: "create_group", name, cid });
    unsettled.delete(name);
    if (ok.type === "group_created") go(page, ok.conversation);
  } catch (error) {
    if (error instanceof Refused) unsettled.delete(name);
    ui.newGroup = { open: true, busy: false, error: /** @type {Error} */ (error).message };
    page.drawNow();
    document.getElementById("new-group")?.focus();
  }
}

/** @param {Page} page @param {string} id */
export async function join(page, id) {
  if (page.ui.joining) return;
  page.ui.joining = id;
  page.draw();
  try {
    await ask(page.chat.connection, { type: "join_group", conversation: id });
    go(page, id);
  } finally {
    page.ui.joining = null;
  }
}

/** Asks whether the user really wants to leave, or stops asking. @param {Page} page @param {boolean} asked */
export async function askLeave(page, asked) {
  await page.deferred.loadViews();
  page.ui.leaving = asked;
  page.drawNow();
  const button = /** @type {HTMLElement | null} */ (document.querySelector(asked ? ".ask button" : ".head button"));
  button?.focus();
}

/** The question stands until the group is left. @param {Page} page @param {string} id */
export async function leave(page, id) {
  try {
    await ask(page.chat.connection, { type: "leave_group", conversation: id });
  } catch (error) {
    await askLeave(page, false);
    throw error;
  }
}

/** Opens a conversation as soon as it is here. @param {Page} page @param {string} id */
function go({ ui }, id) {
  ui.goingTo = id;
  location.hash = `#/${id}`;
}

/** Tries a request a few times: each of these commands may be repeated.
 * @param {SharedConnection} connection
 * @param {Command} command
 * @returns {Promise<Ok>} */
async function ask(connection, command) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { ok, refusal } = await connection.send(command);
      if (ok) return ok;
      if (refusal && !isPassing(refusal)) throw new Refused(refusal.message);
      throw new Error(refusal?.message ?? "The server answered something else.");
    } catch (error) {
      if (error instanceof Refused || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * attempt));
    }
  }
}
