/**
 * The parts that the page does not need at first.
 *
 * They are loaded when the browser has time, or when they are needed.
 * The banner that explains a lost server must be loaded before the loss.
 */

import { part } from "./api.js";
import { load } from "./transports/all.js";

/** @import { Chat } from "./chat.js" */
/** @import { ServerAddress } from "./protocol.js" */

/** Runs something when the browser has time; not every browser says when that is.
 * @param {() => void} run */
export function whenIdle(run) {
  (globalThis.requestIdleCallback ?? setTimeout)(run);
}

export class Deferred {
  /** @type {typeof import("./later.js") | null} */
  parts = null;
  /** @type {typeof import("./views/late.js") | null} */
  views = null;
  /** @type {import("./views/wire.js").WireDrawer | undefined} */
  drawer;
  /** @type {import("./announcer.js").Announcer | undefined} */
  announcer;
  #asked = false;

  /**
   * @param {ServerAddress[]} servers whose transports are loaded, too
   * @param {() => void} onChange something visible has been loaded
   * @param {(parts: typeof import("./later.js")) => void} onParts
   */
  constructor(servers, onChange, onParts) {
    this.servers = servers;
    this.onChange = onChange;
    this.onParts = onParts;
  }

  /** Loads everything when the browser has time. */
  loadSoon() {
    if (this.#asked) return;
    this.#asked = true;
    whenIdle(() => this.#load().catch(() => (this.#asked = false)));
  }

  /** What fails to load is asked for again when it is needed. */
  async #load() {
    this.parts ??= await import("./later.js");
    this.onParts(this.parts);
    await this.loadViews();
    const parts = [import("./groups.js"), import("./views/wire.js"), import("./views/help.js"), import("./announcer.js")];
    const transports = this.servers.map(({ name }) => load(name));
    const more = [import("./transports/commands.js"), import("./ladder.js"), import("./sign-in.js")];
    await Promise.allSettled([...parts, ...transports, ...more]);
  }

  async loadViews() {
    if (this.views) return;
    this.views = await import("./views/late.js").catch(() => null);
    if (this.views) this.onChange();
  }

  /** Announces a message to a screen reader. @param {string} from @param {string} text */
  async announce(from, text) {
    // Without the announcer, the message can still be read.
    const { Announcer } = await import("./announcer.js").catch(() => ({ Announcer: null }));
    if (!Announcer) return;
    this.announcer ??= new Announcer(this.onChange);
    this.announcer.message(from, text);
  }

  /** @param {Chat} chat */
  async showWire(chat) {
    // If the menu asked for it, the focus goes to the menu's button, and returns there from the drawer.
    document.getElementById("transports")?.hidePopover();
    const { WireDrawer } = await part(import("./views/wire.js"));
    this.drawer ??= new WireDrawer();
    this.drawer.toggle(chat);
  }

  async showHelp() {
    if (document.querySelector("dialog[open]")) return;
    const { showHelp } = await part(import("./views/help.js"));
    showHelp();
  }
}
