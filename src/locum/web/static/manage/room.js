/** What there is on the server: assistants, vector stores, files, and keys for an admin. */

import { fill, h } from "../core/dom.js";
import { to } from "../core/router.js";
import { showAssistant, showAssistants } from "./assistants.js";
import { showFiles } from "./files.js";
import { showKeys } from "./keys.js";
import { showStore, showStores } from "./stores.js";

const SHELVES = { assistants: "Assistants", stores: "Vector stores", files: "Files", keys: "Keys" };

/** @param {HTMLElement} place @param {import("../core/router.js").Place} at @param {AbortSignal} signal */
export function show(place, at, signal) {
  const [shelf = "assistants", id] = at.path;
  const body = h("div");
  fill(
    place,
    h(
      "div.head",
      null,
      h("h1", null, "Manage"),
      h("nav.shelves", { "aria-label": "Shelves" }, Object.entries(SHELVES).map(([name, title]) => h("a", { href: to(["manage", name]), "aria-current": name === shelf ? "page" : null }, title))),
    ),
    body,
  );
  if (shelf === "assistants" && id) showAssistant(body, id, signal);
  else if (shelf === "assistants") showAssistants(body, signal);
  else if (shelf === "stores" && id) showStore(body, id, signal);
  else if (shelf === "stores") showStores(body, signal);
  else if (shelf === "files") showFiles(body, signal);
  else showKeys(body, signal);
}
