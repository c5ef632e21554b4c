/**
 * A signed-in user's whole page, put together from its parts.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { UNNOTICED_MS } from "../backoff.js";
import { unread } from "../selectors.js";
import { badge } from "./badge.js";
import { conversation } from "./conversation.js";
import { shell } from "./shell.js";
import { sidebar } from "./sidebar.js";

/** @import { Page } from "../page.js" */

/** @param {Page} page @param {number} now */
export function everything({ chat, ui, deferred, scroll, actions, servers, drafts, opened }, now) {
  const { state, loaded, outbox } = chat;
  const { status } = chat.connection;
  const { conversation: open, person, to, key } = opened;
  const { problem, caughtUp, filter, joining, newGroup, newAfter, leaving } = ui;
  const { views } = deferred;
  const menu = views?.menu({ status, servers }, actions.transport);
  const form = newGroup.open ? views?.newGroup(newGroup, actions.sidebar) : undefined;
  const selected = open?.id ?? person?.id ?? null;
  const creation = { creating: newGroup.open, form: form ?? nothing };
  const cutOff = now - (status.lostAt ?? now) >= UNNOTICED_MS;
  const listed = { state, loaded, cutOff, selected, filter, joining, ...creation, nobody: views?.nobody() };
  const draft = key === null ? "" : drafts.get(key);
  const entries = outbox.of(key);
  const below = open && !scroll.sticking ? unread(open) : 0;
  const inView = { state, conversation: open, person, now, cutOff, entries, newAfter, below, draft, leaving, late: views };
  const moment = html`<p class="empty" aria-busy="true">One moment…</p>`;
  const nothingOpen = (loaded && views?.nothingOpen()) || moment;
  return shell(
    {
      me: state.me.name,
      open: to !== null,
      announcement: deferred.announcer?.words ?? "",
      alert: ui.alert,
      transport: badge(status, menu ?? nothing, actions.badge),
      banner: views?.banner({ status, servers, caughtUp, problem, now }, actions.banner) ?? nothing,
      sidebar: sidebar(listed, actions.sidebar),
      conversation: to === null ? nothingOpen : conversation(inView, actions.conversation(opened)),
    },
    actions.shell,
  );
}
