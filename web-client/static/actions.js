/**
 * What a user can do on the page: the actions of all views.
 */

import * as api from "./api.js";

/** @import { Page } from "./page.js" */
/** @import { TransportName } from "./protocol.js" */
/** @import { BannerActions, ConversationActions, Opened, SidebarActions } from "./types.js" */

const EXPIRED = "Your session has expired. What you wrote is kept and sent when you are back.";

/** @param {Page} page */
export function actionsOf(page) {
  const { chat, ui, deferred } = page;

  /** Does something that the server may refuse, and shows the refusal.
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
  /** The button opens a loaded menu by itself. Otherwise the menu is loaded and opened here. @param {Event} event */
  async function openMenu(event) {
    if (document.getElementById("transports")) return;
    // Otherwise the button would close it again.
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
      // Drawn at once: Enter opens the topmost entry, which must match the text.
      filter: (text) => ((ui.filter = text), page.drawNow()),
      join,
      openNewGroup: (open) => inGroups(({ openForm }) => openForm(page, open)),
      createGroup: (name) => inGroups(({ create }) => create(page, name)),
    },
    /** For the conversation that was open when its view was drawn.
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
      // The button disappears, so the focus must move on.
      retry: (cid) => (chat.outbox.retry(cid), page.goOn()),
      discard: (cid) => (chat.outbox.remove(cid), page.goOn()),
      askLeave: (ask) => inGroups(({ askLeave }) => askLeave(page, ask)),
      leave: () => inGroups(({ leave }) => leave(page, conversation?.id ?? "")),
      join: () => join(conversation?.id ?? ""),
      toBottom: () => page.scroll.toBottom(),
    }),
  };
}
