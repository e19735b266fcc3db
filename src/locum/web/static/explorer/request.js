/** A filled form as a request: what is sent, and what the code says. */

/**
 * @typedef {{ operation: import("./document.js").Operation, base: string, beta: string,
 *   method: string, path: string, url: string, query: [string, string][], headers: [string, string][],
 *   body: null | { kind: "json", value: any } | { kind: "form", parts: { name: string, value?: string, file?: string, blob?: File }[] },
 *   stream: boolean, given: { path: Record<string, string>, query: Record<string, any>, body: any } }} Request
 */

/**
 * @param {import("./document.js").Operation} operation
 * @param {{ path: Record<string, any>, query: Record<string, any>, body: any }} given
 * @param {{ base: string, beta: string }} options `base` is absolute
 * @returns {Request}
 */
export function requestOf(operation, given, { base, beta }) {
  const path = operation.path.replace(/\{(\w+)\}/g, (whole, name) =>
    given.path[name] === undefined ? whole : encodeURIComponent(given.path[name]),
  );
  const query = queryOf(given.query);
  const told = new URLSearchParams(query).toString();
  const body = bodyOf(operation, given.body);
  /** @type {[string, string][]} */
  const headers = [];
  if (body?.kind === "json") headers.push(["Content-Type", "application/json"]);
  if (/^\/(assistants|threads|vector_stores)/.test(path)) headers.push(["OpenAI-Beta", `assistants=${beta}`]);
  const alwaysStreams = operation.streams && operation.method === "GET";
  const stream = alwaysStreams || (body?.kind === "json" && body.value?.stream === true);
  return { operation, base, beta, method: operation.method, path, url: base + path + (told ? `?${told}` : ""), query, headers, body, stream, given };
}

/** Lists repeat their key; pairs are told as `name[key]`. @param {Record<string, any>} given @returns {[string, string][]} */
function queryOf(given) {
  return Object.entries(given).flatMap(([name, value]) => {
    if (Array.isArray(value)) return value.map((one) => /** @type {[string, string]} */ ([name, String(one)]));
    if (value !== null && typeof value === "object") {
      return Object.entries(value).map(([key, one]) => /** @type {[string, string]} */ ([`${name}[${key}]`, String(one)]));
    }
    return [/** @type {[string, string]} */ ([name, String(value)])];
  });
}

/** @param {import("./document.js").Operation} operation @param {any} value @returns {Request["body"]} */
function bodyOf(operation, value) {
  if (!operation.body) return null;
  if (operation.body.media === "multipart/form-data") {
    const parts = Object.entries(value ?? {}).map(([name, one]) =>
      one instanceof File ? { name, file: one.name, blob: one } : { name, value: String(one) },
    );
    return { kind: "form", parts };
  }
  const isEmpty = value === undefined || (typeof value === "object" && !Object.keys(value).length);
  if (isEmpty && !operation.body.required) return null;
  return { kind: "json", value: value ?? {} };
}
