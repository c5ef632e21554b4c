/**
 * A signed-in user's page: what is open, what is half done, and when all of it is drawn.
 */

import { actionsOf } from "./actions.js";
import { UNNOTICED_MS } from "./backoff.js";
import { Chat, MAX_UNREAD } from "./chat.js";
import { needsSignIn } from "./codes.js";
import { Drafts } from "./drafts.js";
import { addressKey } from "./outbox.js";
import { Deferred } from "./deferred.js";
import { Scroll } from "./scroll.js";
import { addressOf, directWith, reachesUnread, unread } from "./selectors.js";
import { render } from "./vendor/lit-html/lit-html.js";
import { everything } from "./views/everything.js";
import { nameOf, sentence, titleOf } from "./views/words.js";

/** @import { LoggedEvent, PassingEvent, ServerAddress, TransportName, User } from "./protocol.js" */
/** @import { Conversation, Entrance, Opened, Ui } from "./types.js" */

/** The transport that was chosen last, as this browser remembers it. */
const TRANSPORT = "switchboard.transport";
/** How long "Back online" stands. */
const CAUGHT_UP_MS = 5_000;

export class Page {
  #willDraw = false;
  /** Whether to move the focus to where the user goes on, once the code for it is loaded. */
  #willFocus = false;
  /** Whether unread messages came while the reader could not see them: then the first of them stays in sight. */
  #missed = false;
  /** @type {import("./reading.js").Reading | undefined} */
  #reading;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #clock;
  #stop = new AbortController();

  /**
   * @param {User} me
   * @param {ServerAddress[]} servers
   * @param {HTMLElement} root
   * @param {Entrance} entrance
   */
  constructor(me, servers, root, entrance) {
    const { signal } = this.#stop;
    this.servers = servers;
    this.root = root;
    this.entrance = entrance;
    this.drafts = new Drafts(localStorage, me.id);
    /** @type {Ui} */
    this.ui = {
      filter: "",
      open: null,
      newAfter: Infinity,
      goingTo: null,
      leaving: false,
      newGroup: { open: false, busy: false, error: "" },
      joining: null,
      lostAt: null,
      caughtUp: null,
      problem: "",
      alert: "",
      failed: 0,
    };
    const chosen = /** @type {TransportName | null} */ (localStorage.getItem(TRANSPORT));
    const { name } = servers.find((server) => server.name === chosen) ?? servers[0];
    this.chat = new Chat(me, servers, name, {
      onChange: () => this.#onChange(),
      onEvent: (event) => this.#onEvent(event),
      // The state was replaced, so the conversation is opened anew, unless its reader is further up.
      onSnapshot: () => {
        this.#reading?.forget();
        if (this.scroll.sticking) this.ui.open = null;
      },
      onOtherUser: entrance.onOtherUser,
    });
    this.scroll = new Scroll({ onMove: (turned) => this.#onMove(turned), onTop: () => this.#onTop(), signal });
    this.deferred = new Deferred(
      servers,
      () => this.draw(),
      ({ bindKeys, Far, Reading }) => {
        if (signal.aborted || this.#reading) return;
        bindKeys(this.actions.keys, signal);
        this.scroll.far = new Far(this);
        this.#reading = new Reading(this);
        if (this.#willFocus && document.activeElement === document.body) this.goOn();
        this.draw();
      },
    );
    this.actions = actionsOf(this);
    addEventListener("hashchange", () => this.draw(), { signal });
    // Another tab has written a draft.
    addEventListener("storage", () => this.draw(), { signal });
    document.addEventListener("visibilitychange", () => this.draw(), { signal });
  }

  /** @param {boolean} take whether a user has just signed in here: then this tab holds the connection */
  start(take) {
    this.chat.start(take);
    if (!take) return this.draw();
    this.ui.goingTo = this.opened.id;
    this.drawNow();
    this.goOn();
  }

  /** Ends it for good. */
  stop() {
    this.#stop.abort();
    clearTimeout(this.#clock);
    this.#reading?.stop();
    this.deferred.drawer?.close();
    this.chat.stop();
  }

  /** Holds nothing until it wakes. */
  sleep() {
    this.#reading?.stop();
    this.chat.stop();
  }

  wake() {
    this.chat.start();
  }

  /** @param {TransportName} name */
  switchTo(name) {
    localStorage.setItem(TRANSPORT, name);
    this.chat.connection.switchTo(name);
  }

  /** What the address names: a conversation, or a user with whom there is none yet.
   * @returns {Opened} */
  get opened() {
    const id = location.hash.replace(/^#\/?/, "");
    const { state } = this.chat;
    const conversation = state.conversations.get(id) ?? (id ? directWith(state, id) : undefined);
    const person = state.users.get(conversation?.with ?? id);
    const beginning = person && person.id !== state.me.id ? { user: person.id } : null;
    const to = conversation ? addressOf(conversation) : beginning;
    return { id, conversation, person, to, key: to ? addressKey(to) : null };
  }

  /** Draws soon: once, however much changes until then. */
  draw() {
    if (this.#willDraw) return;
    this.#willDraw = true;
    // A hidden page gets no animation frames, yet its title still counts what is unread.
    if (document.visibilityState === "visible") requestAnimationFrame(() => this.drawNow());
    else setTimeout(() => this.drawNow(), 100);
  }

  drawNow() {
    this.#willDraw = false;
    if (this.#stop.signal.aborted) return;
    const now = Date.now();
    if (this.ui.caughtUp && this.ui.caughtUp.until < now) this.ui.caughtUp = null;
    this.#settle();
    this.scroll.before();
    const draw = () => render(everything(this, now), this.root);
    if (this.deferred.parts) this.deferred.parts.keepingFocus(draw);
    else draw();
    const { conversation: open } = this.opened;
    const settled = open === undefined || this.isSettled(open);
    const wasSticking = this.scroll.sticking;
    this.scroll.after(settled, open && this.#missed ? open.readSeq : Infinity);
    // A button shows how much is unread below.
    if (wasSticking && !this.scroll.sticking) this.draw();
    this.#follow();
    document.title = this.#title();
    if (settled && this.chat.loaded) this.deferred.loadSoon();
    if (now - (this.chat.connection.status.lostAt ?? now) >= UNNOTICED_MS) this.deferred.loadViews();
    clearTimeout(this.#clock);
    if (this.#isMoving(now)) this.#clock = setTimeout(() => this.draw(), 1_000);
  }

  /** Notices that another conversation has been opened. */
  #settle() {
    const { id, conversation: open, key } = this.opened;
    // A direct conversation is opened by its user's id, and gets its own id with the first message.
    if (open && open.id !== id) history.replaceState(null, "", `#/${open.id}`);
    const newAfter = open && unread(open) > 0 ? open.readSeq : Infinity;
    // A user who comes back to this tab finds the conversation open at what is new.
    if (document.visibilityState === "hidden") this.#miss(newAfter);
    if (newAfter === Infinity) this.#missed = false;
    if (!open?.joined) this.ui.leaving = false;
    const awaited = key !== null && this.ui.goingTo === id;
    if (awaited) Object.assign(this.ui, { goingTo: null, newGroup: { open: false, busy: false, error: "" } });
    if (awaited) setTimeout(() => this.goOn());
    if (key === this.ui.open) return;
    Object.assign(this.ui, { open: key, newAfter, leaving: false, filter: "" });
    this.#miss(newAfter);
    this.scroll.open();
    // A user in another field stays there, unless they were waiting for this conversation.
    if (key !== null && !(document.activeElement instanceof HTMLInputElement)) setTimeout(() => this.goOn());
  }

  /** @param {number} readSeq up to where the reader had read; Infinity: they missed nothing */
  #miss(readSeq) {
    if (readSeq === Infinity) return;
    this.ui.newAfter = Math.min(this.ui.newAfter, readSeq);
    this.#missed = true;
  }

  /** Moves the focus to where the user goes on. */
  goOn() {
    this.#willFocus = true;
    this.deferred.parts?.goOn();
  }

  /** Whether enough of a conversation is loaded to put its reader in place. @param {Conversation} open */
  isSettled(open) {
    const { history, messages, readSeq } = open;
    return history === "damaged" || reachesUnread(open, readSeq) || (history === "more" && messages.length >= MAX_UNREAD);
  }

  /** Loads what the open conversation lacks, and tells the server what was seen. */
  #follow() {
    const { conversation: open } = this.opened;
    if (!open) return;
    if (!this.isSettled(open) || this.scroll.nearTop) void this.chat.loadOlder(open.id);
    if (this.scroll.sticking) this.scroll.far?.trimSoon(open.id);
    this.#reading?.see();
  }

  #title() {
    const { state } = this.chat;
    const joined = [...state.conversations.values()].filter((one) => one.joined);
    const count = joined.reduce((sum, one) => sum + unread(one), 0);
    const { conversation: open, person } = this.opened;
    const name = open ? titleOf(state, open) : person?.name;
    return `${count > 0 ? `(${count}) ` : ""}${name ? `${name} · ` : ""}Switchboard`;
  }

  /** Whether something on the page changes with time alone. @param {number} now */
  #isMoving(now) {
    const { connection, outbox, state } = this.chat;
    if (connection.status.state !== "live" || this.ui.caughtUp !== null || outbox.entries.length > 0) return true;
    return [...state.conversations.values()].some(({ typing }) => [...typing.values()].some((until) => until > now));
  }

  #onChange() {
    const { chat, ui } = this;
    // The chat reports changes while its constructor still runs.
    if (!chat) return;
    const { status } = chat.connection;
    if (status.state === "live" && ui.lostAt !== null) {
      const missed = chat.loaded && Date.now() - ui.lostAt > UNNOTICED_MS;
      ui.caughtUp = missed ? { messages: 0, until: Date.now() + CAUGHT_UP_MS } : null;
    }
    // Expired before the first snapshot: there is nothing to show behind a banner.
    if (!chat.loaded && needsSignIn(status.closing)) return this.entrance.leave("Your session has expired.");
    ui.lostAt = chat.loaded ? status.lostAt : null;
    const failed = chat.outbox.entries.filter(({ state }) => state === "failed");
    if (failed.length > ui.failed) ui.alert = `Not sent. ${sentence(failed.at(-1)?.refusal?.message ?? "")}`;
    ui.failed = failed.length;
    this.draw();
  }

  /** @param {LoggedEvent | PassingEvent} event */
  #onEvent(event) {
    const { chat, ui } = this;
    this.#reading?.hear(event);
    if (event.type !== "message" || event.from === chat.state.me.id) return;
    if (ui.caughtUp) ui.caughtUp.messages += 1;
    const { conversation: open } = this.opened;
    if (open?.id !== event.conversation) return;
    if (ui.caughtUp) this.#miss(open.readSeq);
    void this.deferred.announce(nameOf(chat.state, event.from), event.text);
  }

  /** @param {boolean} turned */
  #onMove(turned) {
    this.#reading?.see();
    if (turned) this.draw();
  }

  #onTop() {
    const { conversation: open } = this.opened;
    if (open?.history === "more") void this.chat.loadOlder(open.id);
  }
}
