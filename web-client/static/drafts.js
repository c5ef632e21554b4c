/**
 * Texts not sent yet, one for each conversation: they survive a reload, and all tabs show the same.
 */

/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">} Shelf */

export class Drafts {
  /** What the storage had no room for.
   * @type {Map<string, string>} */
  #kept = new Map();

  /** @param {Shelf} storage @param {string} user whose they are */
  constructor(storage, user) {
    this.storage = storage;
    this.prefix = `switchboard.draft.${user}.`;
  }

  /** @param {string} address */
  get(address) {
    return this.#kept.get(address) ?? this.storage.getItem(this.prefix + address) ?? "";
  }

  /** @param {string} address @param {string} text */
  set(address, text) {
    this.#kept.delete(address);
    if (text === "") return this.storage.removeItem(this.prefix + address);
    try {
      this.storage.setItem(this.prefix + address, text);
    } catch {
      // The storage is full, so only this page remembers it.
      this.#kept.set(address, text);
    }
  }

  /** Forgets all of them. */
  clear() {
    this.#kept.clear();
    const keys = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index) ?? "");
    for (const key of keys.filter((one) => one.startsWith(this.prefix))) this.storage.removeItem(key);
  }
}
