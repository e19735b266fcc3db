/** The pictures of a view: each is fetched once, however often it is drawn, and given back with the view. */

import { connection, passes } from "../core/connection.js";
import { picture } from "../core/parts.js";

/** @typedef {{ blob: Blob, url: string | null }} Shown `url` is null where the file is no picture that can be shown */

export class Pictures {
  /** @param {AbortSignal} signal the view's, which ends with it */
  constructor(signal) {
    this.signal = signal;
    /** @type {Map<string, Promise<Shown>>} by file id */
    this.shown = new Map();
    /** @type {string[]} */
    this.urls = [];
    signal.addEventListener("abort", () => this.urls.forEach((url) => URL.revokeObjectURL(url)));
  }

  /** @param {string} fileId */
  get(fileId) {
    const known = this.shown.get(fileId) ?? this.#fetch(fileId);
    this.shown.set(fileId, known);
    return known;
  }

  /** @param {string} fileId @returns {Promise<Shown>} */
  async #fetch(fileId) {
    try {
      const blob = await connection.file(fileId, this.signal);
      const safe = await picture(blob);
      this.signal.throwIfAborted();
      const url = safe && URL.createObjectURL(safe);
      if (url) this.urls.push(url);
      return { blob, url };
    } catch (error) {
      // What may do better is asked for again when it is drawn again.
      if (passes(error)) this.shown.delete(fileId);
      throw error;
    }
  }
}
