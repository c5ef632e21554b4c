/**
 * Signing in, or making an account: one form with two purposes.
 *
 * Loaded when somebody has to sign in.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { sentence, wordmark } from "./words.js";

/** @typedef {"login" | "register"} Purpose */
/**
 * @typedef {object} SignIn
 * @property {Purpose} purpose
 * @property {boolean} busy
 * @property {{field: "name" | "password" | "form", message: string} | null} error
 * @property {string} [reason] why the form is shown
 */
/**
 * @typedef {object} Actions
 * @property {(name: string, password: string) => void} submit
 * @property {(purpose: Purpose) => void} choose
 */

const WORDS = {
  login: { title: "Sign in", submit: "Sign in", other: "Create an account", ask: "New here?" },
  register: { title: "Create an account", submit: "Create account", other: "Sign in", ask: "Have an account?" },
};

/** @param {SignIn} form @param {Actions} actions */
export function signIn({ purpose, busy, error, reason }, { submit, choose }) {
  const words = WORDS[purpose];
  const other = purpose === "login" ? "register" : "login";
  /** @param {SubmitEvent} event */
  const onSubmit = (event) => {
    event.preventDefault();
    const fields = new FormData(/** @type {HTMLFormElement} */ (event.target));
    submit(String(fields.get("name")), String(fields.get("password")));
  };
  return html`
    <main class="welcome" tabindex="-1">
      <div class="card">
        <p class="wordmark">${wordmark()}</p>
        <p class="lead">One chat on every real-time transport.</p>
        <h1>${words.title}</h1>
        ${reason ? html`<p class="reason">${reason}</p>` : nothing}
        <form @submit=${onSubmit} novalidate>
          ${field({ name: "name", label: "Name", type: "text", autocomplete: "username", error, hint: "" })}
          ${field({
            name: "password",
            label: "Password",
            type: "password",
            error,
            autocomplete: purpose === "login" ? "current-password" : "new-password",
            hint: purpose === "register" ? "At least 8 characters." : "",
          })}
          <p class="error" role="alert">${error?.field === "form" ? sentence(error.message) : nothing}</p>
          <button class="primary wide" type="submit" aria-disabled=${busy}>${busy ? "One moment…" : words.submit}</button>
        </form>
        <p class="switch">
          ${words.ask} <button class="link" type="button" @click=${() => choose(other)}>${words.other}</button>
        </p>
      </div>
    </main>
  `;
}

/**
 * @param {{
 *   name: "name" | "password", label: string, type: string, autocomplete: string, hint: string, error: SignIn["error"]
 * }} field
 */
function field({ name, label, type, autocomplete, hint, error }) {
  const wrong = error?.field === name;
  const note = wrong ? sentence(error?.message ?? "") : hint;
  return html`
    <div class="field">
      <label for="sign-in-${name}">${label}</label>
      <input
        id="sign-in-${name}" name=${name} type=${type} autocomplete=${autocomplete} required
        autocapitalize="none" spellcheck="false" aria-invalid=${wrong} aria-describedby="sign-in-${name}-note"
      />
      <p id="sign-in-${name}-note" class=${wrong ? "error" : "hint"}>${note}</p>
    </div>
  `;
}
