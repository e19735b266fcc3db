/** JSON as a tree that folds, whose ids can be links. */

import { h } from "./dom.js";

const OPEN_TO = 2;
const MANY = 100;

/**
 * @param {any} value
 * @param {(id: string, owner: any) => string | null} [link] where an id leads, if anywhere
 */
export function tree(value, link) {
  return h("div.tree", { role: "group", "aria-label": "JSON" }, node(value, "", 0, null, link));
}

/** @param {any} value @param {string} name @param {number} depth @param {any} owner @param {any} link @returns {Node} */
function node(value, name, depth, owner, link) {
  if (value === null || typeof value !== "object") return leaf(value, name, owner, link);
  const entries = Object.entries(value);
  const isList = Array.isArray(value);
  if (!entries.length) return h("div.leaf", null, label(name, owner), isList ? "[]" : "{}");
  const box = h("details.branch", { open: depth < OPEN_TO && entries.length <= MANY });
  const size = isList ? `[${entries.length}]` : `{${entries.length}}`;
  box.append(h("summary", null, label(name, owner), h("span.faint", null, size), " ", hint(value)));
  const fillOnce = () => {
    if (box.childElementCount > 1) return;
    box.append(
      h("div.twigs", null, entries.map(([key, one]) => node(one, key, depth + 1, value, link))),
    );
  };
  if (box.open) fillOnce();
  box.addEventListener("toggle", fillOnce);
  return box;
}

/** @param {any} value */
function hint(value) {
  const told = value.id ?? value.type ?? value.name ?? value.object;
  return typeof told === "string" ? h("span.faint", null, told) : null;
}

/** @param {string} name @param {any} owner */
function label(name, owner) {
  if (name === "") return null;
  return h(Array.isArray(owner) ? "span.at" : "span.name", null, name, ": ");
}

/** @param {any} value @param {string} name @param {any} owner @param {any} link */
function leaf(value, name, owner, link) {
  const href = typeof value === "string" && link ? link(value, owner) : null;
  const kind = value === null ? "null" : typeof value;
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  const shown = href ? h("a.id", { href }, text) : h("span", { data: { kind } }, text);
  return h("div.leaf", null, label(name, owner), shown);
}
