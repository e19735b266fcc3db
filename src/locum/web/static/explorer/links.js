/** Where an id in an answer leads: to the operation that shows it, with its form filled. */

import { to } from "../core/router.js";

/** What people want to see of a run is its steps, so its id opens those. */
const FIRST = { run_: "list_steps" };
const ID = /^(?:asst|thread|run|step|msg|vs|vsfb|file|upload|part)[_-][A-Za-z0-9_-]+$/;

/**
 * @param {import("./document.js").Api} api
 * @param {Record<string, any>} given the path parameters of the request that was answered
 * @returns {(id: string, owner: any) => string | null}
 */
export function linker(api, given) {
  const getters = new Map();
  for (const operation of api.operations.values()) {
    const last = /\{(\w+)\}$/.exec(operation.path)?.[1];
    const schema = operation.parameters.find((one) => one.name === last)?.schema;
    // An id without a pattern of its own, such as a file's, begins with the name of its parameter.
    const prefix = /^\^([a-z]+[_-]?)/.exec(schema?.pattern ?? "")?.[1] ?? last?.replace(/_id$/, "");
    if (operation.method !== "GET" || operation.onlyV1 || !last?.endsWith("_id") || !prefix) continue;
    const shorter = getters.get(prefix);
    if (!shorter || shorter.operation.path.length > operation.path.length) getters.set(prefix, { operation, last });
  }
  return (id, owner) => {
    if (!ID.test(id)) return null;
    const prefix = [...getters.keys()].filter((one) => id.startsWith(one)).sort((a, b) => b.length - a.length)[0];
    const found = getters.get(prefix);
    if (!found) return null;
    const first = /** @type {Record<string, string>} */ (FIRST)[`${found.last.split("_")[0]}_`];
    const operation = api.operations.get(first) ?? found.operation;
    /** @type {Record<string, string>} */
    const known = { ...given, ...strings(owner), [found.last]: id };
    const names = operation.parameters.filter((/** @type {any} */ one) => one.in === "path").map((/** @type {any} */ one) => one.name);
    const told = names.filter((/** @type {string} */ name) => known[name]).map((/** @type {string} */ name) => [name, known[name]]);
    return to(["explorer", operation.id], told);
  };
}

/** @param {any} owner @returns {Record<string, string>} */
function strings(owner) {
  if (owner === null || typeof owner !== "object" || Array.isArray(owner)) return {};
  return Object.fromEntries(Object.entries(owner).filter(([name, value]) => name.endsWith("_id") && typeof value === "string"));
}
