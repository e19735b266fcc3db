/** The explorer: every operation as a form, what it answers, and the code that does the same. */

import { fill, h } from "../core/dom.js";
import { empty, failure, loading } from "../core/parts.js";
import { to } from "../core/router.js";
import { api } from "./document.js";
import { OperationView } from "./operation.js";

const FIRST = "list_steps";

/** @param {HTMLElement} place @param {import("../core/router.js").Place} at @param {AbortSignal} signal */
export async function show(place, at, signal) {
  if (!place.querySelector(".explorer")) fill(place, loading("Reading what the server can do"));
  try {
    const told = await api();
    if (!signal.aborted) draw(place, told, at, signal);
  } catch (error) {
    if (!signal.aborted) fill(place, failure(error, () => show(place, at, signal)));
  }
}

/** @param {HTMLElement} place @param {import("./document.js").Api} told @param {import("../core/router.js").Place} at @param {AbortSignal} signal */
function draw(place, told, at, signal) {
  const id = at.path[0] ?? FIRST;
  const operation = told.operations.get(id);
  const body = h("div.operation");
  const menu = /** @type {HTMLElement | null} */ (place.querySelector(".menu")) ?? menuOf(told);
  if (menu.parentElement?.parentElement !== place) fill(place, h("div.explorer", null, menu, body));
  else menu.nextElementSibling?.replaceWith(body);
  for (const link of menu.querySelectorAll("a")) {
    if (link.dataset.operation === id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  menu.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  const picker = menu.querySelector("select");
  if (picker) picker.value = id;
  if (operation) new OperationView(body, told, operation, at.query, signal).draw();
  else fill(body, empty("No such operation", `This server knows nothing called ${id}.`));
}

/** @param {import("./document.js").Api} told */
function menuOf(told) {
  const groups = [...told.byTag()].filter(([, operations]) => operations.length);
  const list = h("div.menu-list");
  const find = h("input", {
    type: "search",
    placeholder: "Find an operation   /",
    "aria-label": "Find an operation",
    data: { find: "" },
    oninput: () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const link of list.querySelectorAll("a")) {
        link.hidden = !words.every((/** @type {string} */ word) => link.dataset.words.includes(word));
      }
      for (const group of list.children) group.hidden = !group.querySelector("a:not([hidden])");
    },
  });
  const picker = h(
    "select",
    { "aria-label": "Operation", onchange: () => (location.hash = to(["explorer", picker.value])) },
    groups.map(([tag, operations]) =>
      h("optgroup", { label: tag }, operations.map((one) => h("option", { value: one.id }, `${one.method} ${one.path}`))),
    ),
  );
  for (const [tag, operations] of groups) {
    list.append(
      h(
        "section",
        null,
        h("h2", null, tag),
        operations.map((one) =>
          h(
            "a",
            { href: to(["explorer", one.id]), data: { operation: one.id, words: `${one.method} ${one.path} ${one.summary}`.toLowerCase() } },
            h("span.verb", { data: { method: one.method } }, one.method === "DELETE" ? "DEL" : one.method),
            h("span", null, one.summary),
            one.onlyV1 && h("span.v1", { title: "Under the first version's header only" }, "v1"),
          ),
        ),
      ),
    );
  }
  return h("nav.menu", { "aria-label": "Operations" }, h("div.menu-pick", null, picker), find, list);
}
