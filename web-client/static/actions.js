/**
 * What a user can do on the page, as the views are given it.
 */

import * as api from "./api.js";

/** @import { Page } from "./page.js" */
/** @import { TransportName } from "./protocol.js" */
/** @import { BannerActions, ConversationActions, Opened, SidebarActions } from "./types.js" */

const EXPIRED = "Your session has expired. What you wrote is kept and sent when you are back.";

const groups = () => api.part(import("./groups.js"));

/** @param {Page} page */
export function actionsOf(page) {
  const { chat, ui, rest } = page;

  /** Does something that the server may refuse, and says so where it does.
   * @param {() => Promise<unknown>} what */
  async function attempt(what) {
    try {
      await what();
      ui.problem = "";
    } catch (error) {
      ui.problem = /** @type {Error} */ (error).message;
    }
    page.draw();
  }

  const choose = (/** @type {TransportName} */ name) => page.switchTo(name);
  /** The button opens the menu by itself; a menu that is not there yet opens when it is. */
  async function openMenu() {
    if (rest.views) return;
    await rest.loadViews();
    page.drawNow();
    document.getElementById("transports")?.showPopover();
  }

  const showWire = () => attempt(() => rest.showWire(chat));
  const help = () => attempt(() => rest.showHelp());
  const signOut = () =>
    attempt(async () => {
      await api.logout();
      location.hash = "#/";
      page.drafts.clear();
      page.entrance.leave("");
    });

  /** @param {string} id */
  async function join(id) {
    ui.joining = id;
    page.draw();
    await attempt(async () => {
      await (await groups()).joinGroup(chat.connection, id);
      location.hash = `#/${id}`;
    });
    ui.joining = null;
    page.draw();
  }

  /** @param {boolean} open */
  async function openNewGroup(open) {
    await rest.loadViews();
    ui.newGroup = { open, busy: false, error: "" };
    page.drawNow();
    document.getElementById("new-group")?.focus();
  }

  /** @param {string} name */
  async function createGroup(name) {
    ui.newGroup = { open: true, busy: true, error: "" };
    page.draw();
    try {
      const id = await (await groups()).createGroup(chat.connection, name.trim());
      ui.newGroup = { open: false, busy: false, error: "" };
      location.hash = `#/${id}`;
    } catch (error) {
      ui.newGroup = { open: true, busy: false, error: /** @type {Error} */ (error).message };
      page.drawNow();
      document.getElementById("new-group")?.focus();
    }
    page.draw();
  }

  return {
    keys: { showWire, help },
    shell: { signOut, help },
    badge: { openMenu },
    transport: { choose, take: () => chat.connection.take(), showWire },
    /** @type {BannerActions} */
    banner: {
      tryNow: () => chat.connection.retryNow(),
      signInAgain: () => page.entrance.leave(EXPIRED),
      choose,
      dismiss: () => ((ui.problem = ""), page.draw()),
    },
    /** @type {SidebarActions} */
    sidebar: {
      // At once: Enter opens what stands on top, which must be what was typed for.
      filter: (text) => ((ui.filter = text), page.drawNow()),
      join,
      openNewGroup,
      createGroup,
    },
    /** In the conversation that was open when they were drawn.
     * @param {Opened} opened
     * @returns {ConversationActions} */
    conversation: ({ conversation, to, key }) => ({
      say: (text) => {
        if (!to || key === null) return;
        page.drafts.set(key, "");
        ui.newAfter = Infinity;
        page.scroll.sticking = true;
        chat.say(to, text);
      },
      draft: (text) => {
        if (key !== null) page.drafts.set(key, text);
        if (conversation && text !== "") chat.typing(conversation.id);
        page.draw();
      },
      // The button goes, and the focus must not go with it.
      retry: (cid) => (chat.outbox.retry(cid), page.toComposer()),
      discard: (cid) => (chat.outbox.remove(cid), page.toComposer()),
      askLeave: (ask) => ((ui.leaving = ask), page.draw()),
      leave: () =>
        attempt(async () => {
          ui.leaving = false;
          await (await groups()).leaveGroup(chat.connection, conversation?.id ?? "");
        }),
      join: () => join(conversation?.id ?? ""),
      toBottom: () => ((ui.below = 0), page.scroll.toBottom(), page.draw()),
    }),
  };
}
