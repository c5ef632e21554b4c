/**
 * The page: who is signed in, what is open, and drawing it.
 *
 * Start reading here. `chat.js` is what the page is about, `views/` is what it looks like,
 * `connection.js` and `transports/` are what the project is about.
 */

import * as api from "./api.js";
import { Backoff } from "./backoff.js";
import { Chat } from "./chat.js";
import { needsSignIn } from "./codes.js";
import { Drafts } from "./drafts.js";
import { bindKeys } from "./keys.js";
import * as model from "./model.js";
import { addressKey } from "./outbox.js";
import { Scroll } from "./scroll.js";
import { render } from "./vendor/lit-html/lit-html.js";
import { UNNOTICED_MS, banner } from "./views/banner.js";
import { conversation, nothingOpen } from "./views/conversation.js";
import { shell } from "./views/shell.js";
import { sidebar } from "./views/sidebar.js";
import { transport } from "./views/transport.js";
import { nameOf, sentence, titleOf } from "./views/words.js";

/** @import { LoggedEvent, PassingEvent, ServerAddress, TransportName, User } from "./protocol.js" */
/** @import { Conversation, State } from "./types.js" */

/** What this browser remembers: who signed in (the sign-in itself is a cookie out of a script's reach), and over what. */
const ME = "switchboard.me";
const TRANSPORT = "switchboard.transport";
/** How long "Back online" stands. */
const CAUGHT_UP_MS = 5_000;

/** @type {ServerAddress[]} */
let servers = [];
/** @type {Chat | null} */
let chat = null;
/** @type {Drafts} */
let drafts;
/** @type {import("./door.js").Door | undefined} */
let door;
/** @type {import("./views/wire.js").WireDrawer | undefined} */
let drawer;
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
let ui = freshUi();
let drawing = false;
/** @type {import("./announcer.js").Announcer | undefined} */
let announcer;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let clock;

const scroll = new Scroll(
  () => {
    if (scroll.sticking) ui.below = 0;
    draw();
  },
  () => {
    const { conversation: open } = opened();
    if (open && open.history === "more") void chat?.loadOlder(open.id);
  },
);

/** What this page knows beside the chat: what is open, half written, or half decided. */
function freshUi() {
  return {
    filter: "",
    /** The address of the open conversation, as one text. @type {string | null} */
    open: null,
    newAfter: Infinity,
    below: 0,
    leaving: false,
    newGroup: { open: false, busy: false, error: "" },
    /** @type {string | null} */
    joining: null,
    /** @type {number | null} */
    lostAt: null,
    /** @type {{messages: number, until: number} | null} */
    caughtUp: null,
    problem: "",
    alert: "",
    failed: 0,
  };
}

// ---- signing in and out

const beginning = new Backoff();

async function begin() {
  try {
    const { transports, me } = await api.transports();
    servers = transports;
    if (me) return enter(me, false);
    await openDoor("");
  } catch (error) {
    await openDoor("");
    door?.warn(words(error));
    setTimeout(begin, beginning.next());
  }
}

/** The form is loaded when somebody has to sign in. @param {string} reason */
async function openDoor(reason) {
  document.title = "Switchboard";
  const { Door } = await import("./door.js");
  if (chat) return;
  door ??= new Door(root, { isReady: () => servers.length > 0, enter: (me) => enter(me, true) });
  door.open(reason);
}

/** The transport that was chosen last, where there is a server for it. @returns {TransportName} */
function preferred() {
  const chosen = localStorage.getItem(TRANSPORT);
  return (servers.find(({ name }) => name === chosen) ?? servers[0]).name;
}

/** @param {User} me @param {boolean} take whether this tab knows better than others who is signed in */
function enter(me, take) {
  drafts = new Drafts(localStorage, me.id);
  localStorage.setItem(ME, JSON.stringify({ id: me.id, name: me.name }));
  ui = freshUi();
  chat = new Chat(me, servers, preferred(), {
    onChange,
    onEvent,
    onSnapshot,
    onOtherUser: (other) => (leave(), enter(other, true)),
  });
  chat.start(take);
  draw();
}

/** @param {string} [reason] */
function leave(reason = "") {
  drawer?.close();
  chat?.stop();
  chat = null;
  localStorage.removeItem(ME);
  void openDoor(reason);
}

function signOut() {
  return attempt(async () => {
    await api.logout();
    location.hash = "#/";
    drafts.clear();
    leave();
  });
}

// ---- what the chat tells

function onChange() {
  const { status } = chat?.connection ?? {};
  if (status?.state === "live" && ui.lostAt !== null) {
    const missed = chat?.loaded && Date.now() - ui.lostAt > UNNOTICED_MS;
    ui.caughtUp = missed ? { messages: 0, until: Date.now() + CAUGHT_UP_MS } : null;
  }
  // Remembered, but no longer signed in: there is nothing to show behind a banner.
  if (!chat?.loaded && needsSignIn(status?.closing ?? null)) return leave("Your session has expired.");
  ui.lostAt = status && chat?.loaded ? status.lostAt : null;
  const failed = chat?.outbox?.entries.filter(({ state }) => state === "failed") ?? [];
  if (failed.length > ui.failed) ui.alert = `Not sent. ${sentence(failed.at(-1)?.refusal?.message ?? "")}`;
  ui.failed = failed.length;
  draw();
}

/** @param {LoggedEvent | PassingEvent} event */
function onEvent(event) {
  if (!chat || event.type !== "message" || event.from === chat.state.me.id) return;
  if (ui.caughtUp) ui.caughtUp.messages += 1;
  const { conversation: open } = opened();
  const here = open?.id === event.conversation;
  if (here && !scroll.sticking) ui.below += 1;
  if (here) void announce(nameOf(chat.state, event.from), event.text);
}

/** @param {string} from @param {string} text */
async function announce(from, text) {
  const { Announcer } = await import("./announcer.js");
  announcer ??= new Announcer(draw);
  announcer.message(from, text);
}

/** Everything was replaced, so the open conversation is opened anew. */
function onSnapshot() {
  ui.open = null;
}

// ---- what the user does

/** What the address names: a conversation, or a user with whom there is none yet. */
function opened() {
  const id = location.hash.replace(/^#\/?/, "");
  const state = chat?.state;
  const open = state?.conversations.get(id) ?? (id && state ? model.directWith(state, id) : undefined);
  const person = state?.users.get(open?.with ?? id);
  /** @type {import("./protocol.js").To | null} */
  const to = open ? model.addressOf(open) : person && person.id !== state?.me.id ? { user: person.id } : null;
  return { id, conversation: open, person, to };
}

/** Does something that the server may refuse, and says so where it does.
 * @param {() => Promise<unknown>} what */
async function attempt(what) {
  try {
    await what();
    ui.problem = "";
  } catch (error) {
    ui.problem = words(error);
  }
  draw();
}

/** @param {string} name */
async function createGroup(name) {
  ui.newGroup = { open: true, busy: true, error: "" };
  draw();
  try {
    const id = await chat?.createGroup(name.trim());
    ui.newGroup = { open: false, busy: false, error: "" };
    location.hash = `#/${id}`;
  } catch (error) {
    ui.newGroup = { open: true, busy: false, error: words(error) };
    drawNow();
    document.getElementById("new-group")?.focus();
  }
  draw();
}

/** @param {string} id */
async function join(id) {
  ui.joining = id;
  draw();
  await attempt(async () => {
    await chat?.joinGroup(id);
    location.hash = `#/${id}`;
  });
  ui.joining = null;
  draw();
}

/** @param {TransportName} name */
function choose(name) {
  localStorage.setItem(TRANSPORT, name);
  chat?.connection.switchTo(name);
}

/** What is seldom looked at is loaded when it is. */
async function showWire() {
  if (!chat) return;
  const { WireDrawer } = await import("./views/wire.js");
  drawer ??= new WireDrawer();
  await drawer.toggle(chat);
}

async function help() {
  if (document.querySelector("dialog[open]")) return;
  const { showHelp } = await import("./views/help.js");
  await showHelp();
}

/** @param {unknown} error */
function words(error) {
  return error instanceof Error ? error.message : String(error);
}

// ---- drawing

/** Draws soon: once, however much changes until then. */
function draw() {
  if (drawing) return;
  drawing = true;
  // A hidden page gets no animation frames, yet its title still counts what is unread.
  if (document.visibilityState === "visible") requestAnimationFrame(drawNow);
  else setTimeout(drawNow, 100);
}

function drawNow() {
  drawing = false;
  if (!chat) return;
  const now = Date.now();
  if (ui.caughtUp && ui.caughtUp.until < now) ui.caughtUp = null;
  settle();
  scroll.before();
  render(page(chat, now), root);
  const { conversation: open } = opened();
  scroll.after(open === undefined || open.history === "more" || open.history === "complete");
  follow(open);
  document.title = title(chat.state);
  clearTimeout(clock);
  if (isMoving(chat, now)) clock = setTimeout(draw, 1_000);
}

/** @param {Chat} current @param {number} now */
function page(current, now) {
  const { state, connection, outbox } = current;
  const { status } = connection;
  const { conversation: open, person, to } = opened();
  const key = to ? addressKey(to) : "";
  return shell(
    {
      me: state.me.name,
      open: to !== null,
      announcement: announcer?.words ?? "",
      alert: ui.alert,
      transport: transport({ status, servers }, { choose, take: () => connection.take(), showWire }),
      banner: banner(
        { status, servers, caughtUp: ui.caughtUp, problem: ui.problem, now },
        {
          tryNow: () => connection.retryNow(),
          signInAgain: () => leave("Your session has expired. What you wrote is kept and sent when you are back."),
          choose,
          dismiss: () => ((ui.problem = ""), draw()),
        },
      ),
      sidebar: sidebar(
        {
          state,
          loaded: current.loaded,
          selected: open?.id ?? person?.id ?? null,
          filter: ui.filter,
          newGroup: ui.newGroup,
          joining: ui.joining,
        },
        {
          // At once: Enter opens what stands on top, which must be what was typed for.
          filter: (text) => ((ui.filter = text), drawNow()),
          join,
          openNewGroup: (wanted) => {
            ui.newGroup = { open: wanted, busy: false, error: "" };
            drawNow();
            document.getElementById("new-group")?.focus();
          },
          createGroup,
        },
      ),
      conversation:
        to === null
          ? nothingOpen(current.loaded)
          : conversation(
              {
                state,
                conversation: open,
                person,
                now,
                entries: outbox.entries.filter((entry) => addressKey(entry.to) === key),
                newAfter: ui.newAfter,
                below: ui.below,
                draft: drafts.get(key),
                leaving: ui.leaving,
              },
              {
                say: (text) => {
                  drafts.set(key, "");
                  ui.newAfter = Infinity;
                  scroll.sticking = true;
                  current.say(to, text);
                },
                draft: (text) => {
                  drafts.set(key, text);
                  if (open && text !== "") current.typing(open.id);
                  draw();
                },
                retry: (cid) => outbox.retry(cid),
                discard: (cid) => outbox.remove(cid),
                askLeave: (ask) => ((ui.leaving = ask), draw()),
                leave: () =>
                  attempt(async () => {
                    ui.leaving = false;
                    await current.leaveGroup(open?.id ?? "");
                  }),
                join: () => join(open?.id ?? ""),
                toBottom: () => ((ui.below = 0), scroll.toBottom(), draw()),
              },
            ),
    },
    { signOut, help },
  );
}

/** Notices that another conversation has been opened. */
function settle() {
  const { id, conversation: open, to } = opened();
  // A direct conversation is opened by its user's name and gets its own with the first message.
  if (open && open.id !== id) history.replaceState(null, "", `#/${open.id}`);
  const key = to ? addressKey(to) : null;
  if (key === ui.open) return;
  ui.open = key;
  ui.newAfter = open && chat && model.unread(chat.state, open) > 0 ? open.readSeq : Infinity;
  ui.below = 0;
  ui.leaving = false;
  ui.filter = "";
  scroll.open();
  // On a touch screen the focus would open the keyboard over the messages; and nobody is torn from another field.
  const writing = document.activeElement instanceof HTMLInputElement;
  if (key !== null && !writing && matchMedia("(hover: hover)").matches) {
    setTimeout(() => document.getElementById("composer")?.focus());
  }
}

/** Reads what the open conversation lacks, and tells the server what has been seen.
 * @param {Conversation | undefined} open */
function follow(open) {
  if (!open || !chat) return;
  if (open.history === "unknown" || (open.history === "more" && scroll.short)) void chat.loadOlder(open.id);
  if (!scroll.sticking) return;
  chat.trim(open.id);
  if (document.visibilityState === "visible") chat.markRead(open.id);
}

/** @param {State} state */
function title(state) {
  const joined = [...state.conversations.values()].filter((one) => one.joined);
  const count = joined.reduce((sum, one) => sum + model.unread(state, one), 0);
  const { conversation: open, person } = opened();
  const name = open ? titleOf(state, open) : person?.name;
  return `${count > 0 ? `(${count}) ` : ""}${name ? `${name} · ` : ""}Switchboard`;
}

/** Whether something on the page changes with time alone.
 * @param {Chat} current @param {number} now */
function isMoving({ connection, outbox, state }, now) {
  if (connection.status.state !== "live" || ui.caughtUp !== null || outbox.entries.length > 0) return true;
  return [...state.conversations.values()].some(({ typing }) => [...typing.values()].some((until) => until > now));
}

/** Another tab has signed in or out, or written. @param {StorageEvent} event */
function onStored({ key, newValue }) {
  if (key !== ME || servers.length === 0) return draw();
  const me = newValue === null ? null : /** @type {User} */ (JSON.parse(newValue));
  if (me?.id === chat?.state.me.id) return;
  if (chat) leave(me ? undefined : "You were signed out in another tab.");
  if (me) enter(me, false);
}

// Nothing may be held by a page that the browser puts to sleep: it would keep the connection from the other tabs,
// and itself out of the back-forward cache.
addEventListener("pagehide", () => chat?.stop());
addEventListener("pageshow", ({ persisted }) => persisted && chat?.start());
document.addEventListener("freeze", () => chat?.stop());
document.addEventListener("resume", () => chat?.start());
addEventListener("storage", onStored);
addEventListener("hashchange", draw);
document.addEventListener("visibilitychange", draw);
bindKeys({ showWire, help });
void begin();
