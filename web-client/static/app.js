/**
 * The entrance: it shows a signed-in user their chat, and a visitor the form for signing in.
 *
 * Start reading here. `page.js` is a signed-in user's page, and `chat.js` is the chat that it shows.
 * `connection.js` and `transports/` are what the project is about. `views/` is what all of it looks like.
 * Each is loaded when it is needed, so a visitor gets only the form.
 */

import * as api from "./api.js";
import { Backoff } from "./backoff.js";
import { learn } from "./transports/all.js";

/** @import { ServerAddress, User } from "./protocol.js" */

/** Who signed in with this browser; the sign-in itself is a cookie, which no script can read. */
const ME = "switchboard.me";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const beginning = new Backoff();
/** @type {ServerAddress[]} */
let servers = [];
/** Who is signed in here, as far as this tab knows.
 * @type {User | null} */
let me = null;
/** Their page, once it is loaded.
 * @type {import("./page.js").Page | null} */
let page = null;
/** @type {import("./sign-in.js").SignInPage | undefined} */
let signIn;

async function begin() {
  try {
    const answer = await api.transports();
    servers = learn(answer.transports);
    if (answer.me) await enter(answer.me, false);
    else await openDoor("");
  } catch (error) {
    me = null;
    await openDoor("");
    signIn?.warn(/** @type {Error} */ (error).message);
    setTimeout(begin, beginning.next());
  }
}

/** @param {string} reason why the form is shown */
async function openDoor(reason) {
  document.title = "Switchboard";
  const { SignInPage } = await import("./sign-in.js");
  if (me) return;
  signIn ??= new SignInPage(root, { isReady: () => servers.length > 0, enter: (user) => enter(user, true) });
  signIn.open(reason);
}

/** @param {User} user @param {boolean} take whether this tab is the first to know the user, and so leads */
async function enter(user, take) {
  me = user;
  const { Page } = await api.part(import("./page.js"));
  // The user signed out again while the page was loading.
  if (me !== user) return;
  localStorage.setItem(ME, JSON.stringify({ id: user.id, name: user.name }));
  page = new Page(user, servers, root, {
    leave,
    onOtherUser: (other) => (leave(""), enter(other, true)),
  });
  page.start(take);
}

/** @param {string} reason what the form says about it */
function leave(reason) {
  page?.stop();
  page = null;
  me = null;
  localStorage.removeItem(ME);
  void openDoor(reason);
}

/** Another tab has signed in or out. @param {StorageEvent} event */
function onStored({ key, newValue }) {
  if (key !== ME || servers.length === 0) return;
  const other = newValue === null ? null : /** @type {User} */ (JSON.parse(newValue));
  if (other?.id === me?.id) return;
  if (me) leave(other ? "" : "You were signed out in another tab.");
  if (other) void enter(other, false);
}

// A page that the browser puts to sleep must hold nothing: it would keep the connection from the other tabs,
// and itself out of the back-forward cache.
addEventListener("pagehide", () => page?.sleep());
addEventListener("pageshow", ({ persisted }) => persisted && page?.wake());
document.addEventListener("freeze", () => page?.sleep());
document.addEventListener("resume", () => page?.wake());
addEventListener("storage", onStored);
void begin();
