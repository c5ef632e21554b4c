/**
 * The HTTP API that all servers share: signing in, and reading what needs no stream.
 *
 * The sign-in is a cookie that this page cannot read; the token in the answer is for clients that are not browsers.
 */

/** @import { Page, Person, ServerAddress, Snapshot, User } from "./protocol.js" */

/** How long an answer may take before its request counts as lost. */
const TIMEOUT_MS = 10_000;

/** An HTTP error, from its problem document ([RFC 9457]); `status` 0: there was no answer. */
export class ApiError extends Error {
  /**
   * @param {string} code the stable name of what is wrong
   * @param {string} message for people
   * @param {{status: number, retryAfterMs?: number | null}} details
   */
  constructor(code, message, { status, retryAfterMs = null }) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error of a response that is not ok.
 * @param {Response} response
 */
export async function problem(response) {
  const document = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("retry-after"));
  const retryAfterMs = document.retry_after_ms ?? (seconds > 0 ? seconds * 1000 : null);
  const message = document.detail ?? document.title ?? `The server answered ${response.status}.`;
  return new ApiError(document.code ?? "unknown", message, { status: response.status, retryAfterMs });
}

/** The error of a request that got no answer. */
export function noAnswer() {
  return new ApiError("no_answer", `Nothing answers at ${location.host}.`, { status: 0 });
}

/** A part of the page that is loaded late.
 * @template T
 * @param {Promise<T>} loading
 * @returns {Promise<T>} */
export function part(loading) {
  return loading.catch(() => {
    throw noAnswer();
  });
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => {
    throw noAnswer();
  });
  if (!response.ok) throw await problem(response);
  return response.status === 204 ? null : response.json();
}

/** Ends this sign-in. */
export const logout = () => call("POST", "/api/logout");

/** The servers that this page may talk to, and the user, if the server knows one.
 * @returns {Promise<{transports: ServerAddress[], me?: User | null}>} */
export const transports = () => call("GET", "/api/transports");

/** @returns {Promise<Snapshot>} */
export const snapshot = () => call("GET", "/api/snapshot");

/** @returns {Promise<Person[]>} */
export const users = async () => (await call("GET", "/api/users")).users;

/**
 * A page of a conversation's history: the newest messages, or those before `before`.
 * @param {string} conversation
 * @param {{before?: number, limit: number}} where
 * @returns {Promise<Page>}
 */
export function messages(conversation, { before, limit }) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (before !== undefined) query.set("before", String(before));
  return call("GET", `/api/conversations/${encodeURIComponent(conversation)}/messages?${query}`);
}
