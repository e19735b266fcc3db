/** The server's own description of its API: the only thing the explorer knows of it. */

/**
 * @typedef {{ id: string, method: string, path: string, tag: string, summary: string, text: string,
 *   parameters: any[], body: null | { media: string, schema: any, required: boolean }, streams: boolean,
 *   downloads: boolean, onlyV1: boolean }} Operation
 */

const METHODS = ["get", "post", "put", "patch", "delete"];
let told = /** @type {Promise<Api> | null} */ (null);

/** @returns {Promise<Api>} */
export function api() {
  told ??= fetch("/openapi.json", { cache: "no-cache" })
    .then((answer) => {
      if (!answer.ok) throw new Error(`The description of the API is not there (${answer.status}).`);
      return answer.json();
    })
    .then((document) => new Api(document))
    .catch((error) => {
      told = null;
      throw error;
    });
  return told;
}

export class Api {
  /** @param {any} document */
  constructor(document) {
    this.document = document;
    /** @type {Map<string, Operation>} */
    this.operations = new Map();
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS) {
        const one = /** @type {any} */ (item)[method];
        if (one) this.operations.set(one.operationId, this.#operation(path, method, one));
      }
    }
  }

  /** @param {string} path @param {string} method @param {any} one @returns {Operation} */
  #operation(path, method, one) {
    const content = one.requestBody?.content ?? {};
    const media = Object.keys(content)[0];
    const answers = Object.keys(one.responses?.["200"]?.content ?? {});
    return {
      id: one.operationId,
      method: method.toUpperCase(),
      path,
      tag: one.tags?.[0] ?? "Other",
      summary: one.summary ?? one.operationId,
      text: one.description ?? "",
      parameters: (one.parameters ?? []).map((/** @type {any} */ given) => this.resolve(given)),
      body: media ? { media, schema: content[media].schema, required: Boolean(one.requestBody.required) } : null,
      streams: answers.includes("text/event-stream"),
      downloads: answers.includes("application/octet-stream"),
      onlyV1: Boolean(one["x-locum-only-v1"]),
    };
  }

  /** Operations under their tags, in the order of the document. @returns {Map<string, Operation[]>} */
  byTag() {
    const tags = new Map((this.document.tags ?? []).map((/** @type {any} */ tag) => [tag.name, []]));
    for (const operation of this.operations.values()) {
      if (!tags.has(operation.tag)) tags.set(operation.tag, []);
      tags.get(operation.tag).push(operation);
    }
    return tags;
  }

  /** @param {any} thing a schema or a parameter, perhaps by reference */
  resolve(thing) {
    let found = thing;
    for (let hops = 0; found?.$ref && hops < 20; hops += 1) {
      found = found.$ref
        .replace(/^#\//, "")
        .split("/")
        .reduce((/** @type {any} */ at, /** @type {string} */ name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
    }
    return found ?? {};
  }
}
