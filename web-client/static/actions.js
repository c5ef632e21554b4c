/**
 * What a user can do on the page, as the views are given it.
 */

import * as api from "./api.js";

/** @import { Page } from "./page.js" */
/** @import { TransportName } from "./protocol.js" */
/** @import { BannerActions, ConversationActions, Opened, SidebarActions } from "./types.js" */

const EXPIRED = "Your session has expired. What you wrote is kept and sent when you are back.";

/** @param {Page} page */
export function actionsOf(page) {
  const { chat, ui, deferred } = page;

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
  /** The button opens the menu by itself; a menu that is not there yet opens when it is. @param {Event} event */
  async function openMenu(event) {
    if (document.getElementById("transports")) return;
    // Otherwise the button would close what is opened here.
    event.preventDefault();
    await deferred.loadViews();
    page.drawNow();
    document.getElementById("transports")?.showPopover();
  }

  const showWire = () => attempt(() => deferred.showWire(chat));
  const help = () => attempt(() => deferred.showHelp());
  const signOut = () =>
    attempt(async () => {
      await api.logout();
      location.hash = "#/";
      page.drafts.clear();
      page.entrance.leave("");
    });

  /** @param {(groups: typeof import("./groups.js")) => Promise<unknown>} what */
  const inGroups = (what) => attempt(async () => what(await api.part(import("./groups.js"))));
  const join = (/** @type {string} */ id) => inGroups(({ join }) => join(page, id));

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
      openNewGroup: (open) => inGroups(({ openForm }) => openForm(page, open)),
      createGroup: (name) => inGroups(({ create }) => create(page, name)),
    },
    /** In the conversation that was open when they were drawn.
     * @param {Opened} opened
     * @returns {ConversationActions} */
    conversation: ({ conversation, to, key }) => ({
      say: (text) => {
        if (!to || key === null) return;
        page.drafts.set(key, "");
        ui.newAfter = Infinity;
        page.scroll.stick();
        if (conversation) chat.read(conversation.id, conversation.lastSeq);
        chat.say(to, text);
      },
      draft: (text) => {
        if (key !== null) page.drafts.set(key, text);
        if (conversation && text !== "") chat.typing(conversation.id);
        page.draw();
      },
      // The button goes, and the focus must not go with it.
      retry: (cid) => (chat.outbox.retry(cid), page.goOn()),
      discard: (cid) => (chat.outbox.remove(cid), page.goOn()),
      askLeave: (ask) => inGroups(({ askLeave }) => askLeave(page, ask)),
      leave: () => inGroups(({ leave }) => leave(page, conversation?.id ?? "")),
      join: () => join(conversation?.id ?? ""),
      toBottom: () => page.scroll.toBottom(),
    }),
  };
}
