/** Where the API is, by which key, and every request the page makes. */

/** @typedef {{ message: string, type?: string, param?: string | null, code?: string | null }} ErrorBody */
/** @typedef {{ method?: string, query?: [string, string][], body?: any, form?: FormData, signal?: AbortSignal, headers?: Record<string, string>, beta?: string }} Ask */

const KEY = "locum.key";
const BASE = "locum.base";
/** Whether this browser has a cookie of the page; what is in it no script can see. */
const SIGNED = "locum.signed";
/** While a server has no keys, any will do; this one says that nobody has given any. */
const ANY_KEY = "local";
export const GATEWAY = /^\/gateway\/[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._/-]*)?$/;

export class ApiError extends Error {
  /** @param {number} status @param {ErrorBody} body @param {string | null} requestId */
  constructor(status, body, requestId) {
    super(body.message);
    this.status = status;
    this.body = body;
    this.requestId = requestId;
  }
}

/** The server could not be reached at all. */
export class Offline extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

/** Whether the same request may do better in a while. @param {unknown} error */
export function passes(error) {
  return !(error instanceof ApiError) || error.status === 429 || error.status >= 500;
}

class Connection extends EventTarget {
  constructor() {
    super();
    const base = localStorage.getItem(BASE) ?? "/v1";
    this.base = base === "/v1" || GATEWAY.test(base) ? base : "/v1";
    this.key = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";
    /** Whether the server has taken what we presented: unknown, yes, no. */
    this.admitted = /** @type {boolean | null} */ (null);
  }

  /** @param {string} key @param {"session" | "local"} where */
  remember(key, where) {
    this.#drop();
    this.key = key;
    (where === "local" ? localStorage : sessionStorage).setItem(KEY, key);
    this.#changed();
  }

  /** Have a cookie in place of a key: it opens the gateway, and no script can read it. @param {string} key */
  async signIn(key) {
    const headers = { authorization: `Bearer ${key || this.key || ANY_KEY}` };
    const answer = await this.fetchAt("/page/session", { method: "POST", headers });
    if (!answer.ok) throw new Error("The server does not know this key.");
    this.#drop();
    localStorage.setItem(SIGNED, "yes");
    this.#changed();
  }

  async signOut() {
    if (localStorage.getItem(SIGNED) !== null) await this.fetchAt("/page/session", { method: "DELETE" });
    localStorage.removeItem(SIGNED);
    this.forget();
  }

  get isSigned() {
    return localStorage.getItem(SIGNED) !== null;
  }

  forget() {
    this.#drop();
    this.#changed();
  }

  #drop() {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    this.key = "";
  }

  get remembers() {
    return localStorage.getItem(KEY) !== null ? "local" : "session";
  }

  /** @param {string} base `/v1`, or `/gateway/NAME` */
  use(base) {
    if (base !== "/v1" && !GATEWAY.test(base)) throw new Error("A gateway begins with /gateway/.");
    this.base = base.replace(/\/+$/, "");
    localStorage.setItem(BASE, this.base);
    this.#changed();
  }

  #changed() {
    this.admitted = null;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} url @returns {Record<string, string>} */
  authorization(url) {
    const proof = { "x-locum-page": "1" };
    if (!this.key && this.isSigned && /^\/(?:gateway|page)\//.test(url)) return proof;
    return { ...proof, authorization: `Bearer ${this.key || ANY_KEY}` };
  }

  /**
   * A response as it is, whatever its status.
   * @param {string} path below the base @param {Ask} [ask]
   */
  async fetch(path, ask = {}) {
    return this.fetchAt(`${this.base}${path}`, ask);
  }

  /** @param {string} url @param {Ask} [ask] */
  async fetchAt(url, ask = {}) {
    const headers = new Headers({
      ...this.authorization(url),
      "openai-beta": `assistants=${ask.beta ?? "v2"}`,
      ...(ask.headers ?? {}),
    });
    if (ask.body !== undefined) headers.set("content-type", "application/json");
    const query = new URLSearchParams(ask.query ?? []).toString();
    try {
      return await fetch(query ? `${url}?${query}` : url, {
        method: ask.method ?? "GET",
        headers,
        body: ask.form ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body)),
        signal: ask.signal,
        credentials: "same-origin",
        redirect: "error",
        cache: "no-store",
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Offline();
    }
  }

  /** The JSON of an answer; anything but success is thrown. @param {string} path @param {Ask} [ask] @returns {Promise<any>} */
  async json(path, ask = {}) {
    return this.jsonAt(`${this.base}${path}`, ask);
  }

  /** The same, of an address that is no part of the API. @param {string} url @param {Ask} [ask] @returns {Promise<any>} */
  async jsonAt(url, ask = {}) {
    return read(await this.fetchAt(url, ask), this);
  }

  /** The pages of a list as one, handed over as they come; `has_more` where it goes on beyond the most that is asked for.
   * @param {string} path @param {[string, string][]} query @param {(items: any[]) => void} [onPage] @param {{ signal?: AbortSignal, most?: number }} [options]
   * @returns {Promise<{ data: any[], has_more: boolean }>} */
  async all(path, query, onPage, options = {}) {
    const data = [];
    let after = "";
    do {
      const cursor = /** @type {[string, string][]} */ (after ? [["after", after]] : []);
      const page = await this.json(path, {
        query: [...query, ["limit", "100"], ...cursor],
        signal: options.signal,
      });
      data.push(...page.data);
      onPage?.(page.data);
      after = page.has_more && page.data.length ? page.data.at(-1).id : "";
    } while (after && data.length < (options.most ?? 5000));
    return { data, has_more: after !== "" };
  }

  /** @param {string} fileId @param {AbortSignal} [signal] @returns {Promise<Blob>} */
  async file(fileId, signal) {
    const answer = await this.fetch(`/files/${encodeURIComponent(fileId)}/content`, { signal });
    if (!answer.ok) await read(answer, this);
    return answer.blob();
  }
}

/** @param {Response} answer @param {Connection} connection */
async function read(answer, connection) {
  const text = await answer.text();
  if (answer.status === 401) {
    connection.admitted = false;
    connection.dispatchEvent(new Event("refused"));
  }
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    if (answer.ok) throw new ApiError(answer.status, { message: "The answer is no JSON." }, null);
  }
  if (answer.ok) {
    connection.admitted = true;
    return value;
  }
  const message = `The server answered ${answer.status} ${answer.statusText}.`;
  throw new ApiError(answer.status, value?.error ?? { message }, answer.headers.get("x-request-id"));
}

export const connection = new Connection();

/** What the server tells of itself: prices, upstreams, version. */
let told = /** @type {Promise<any> | null} */ (null);

/** @returns {Promise<{ version: string, currency: string, prices: Record<string, any>, upstreams: any[], warnings: string[] }>} */
export function config() {
  told ??= connection.jsonAt("/page/config.json").catch((error) => {
    told = null;
    throw error;
  });
  return told;
}

connection.addEventListener("change", () => {
  told = null;
});
