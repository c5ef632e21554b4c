/**
 * The sign-in page: its form, and what happens when it is sent.
 *
 * Loaded when somebody has to sign in.
 */

import { ApiError, call, transports } from "./api.js";
import { render } from "./vendor/lit-html/lit-html.js";
import { signIn } from "./views/sign-in.js";
import { styled } from "./views/styled.js";

/** @import { User } from "./protocol.js" */
/** @import { SignIn } from "./views/sign-in.js" */

await styled("/sign-in.css");

const NO_COOKIE =
  "The server accepted the sign-in, but this browser does not send its cookie back. " +
  `Allow cookies for ${location.hostname}, or delete those that it has, and sign in again.`;

export class SignInPage {
  /** @type {SignIn} */
  #form = { purpose: "login", busy: false, error: null };

  /**
   * @param {HTMLElement} root
   * @param {{isReady: () => boolean, enter: (me: User) => void}} page `isReady`: it is known which servers there are
   */
  constructor(root, page) {
    this.root = root;
    this.page = page;
  }

  /** Shows the form, and why. @param {string} reason */
  open(reason) {
    this.#set({ purpose: "login", busy: false, error: null, reason });
    // What had the focus is gone. On a touch screen, the field would open the keyboard.
    if (document.activeElement !== document.body) return;
    const place = matchMedia("(hover: hover)").matches ? "#sign-in-name" : ".welcome";
    /** @type {HTMLElement | null} */ (document.querySelector(place))?.focus();
  }

  /** Shows an error that is about no single field, or removes it. @param {string} message */
  warn(message) {
    this.#set({ error: message === "" ? null : { field: "form", message } });
  }

  /** @param {string} name @param {string} password */
  async #submit(name, password) {
    if (this.#form.busy || !this.page.isReady()) return;
    this.#set({ busy: true, error: null });
    try {
      const { user } = await call("POST", `/api/${this.#form.purpose}`, { name: name.trim(), password });
      const { me } = await transports();
      // Without the cookie every page would come straight back to this form.
      if (me === null) {
        this.#set({ purpose: "login" });
        throw new ApiError("no_cookie", NO_COOKIE, { status: 0 });
      }
      this.page.enter(user);
    } catch (error) {
      const { code, message } = /** @type {ApiError} */ (error);
      const field = code?.includes("name") ? "name" : code?.includes("password") ? "password" : "form";
      this.#set({ busy: false, error: { field, message } });
      document.getElementById(field === "password" ? "sign-in-password" : "sign-in-name")?.focus();
    }
  }

  /** @param {SignIn["purpose"]} purpose */
  #choose(purpose) {
    this.#set({ purpose, error: null });
    document.getElementById("sign-in-name")?.focus();
  }

  /** @param {Partial<SignIn>} change */
  #set(change) {
    this.#form = { ...this.#form, ...change };
    const submit = (/** @type {string} */ name, /** @type {string} */ password) => void this.#submit(name, password);
    render(signIn(this.#form, { submit, choose: (purpose) => this.#choose(purpose) }), this.root);
  }
}
