/** What there is on the server: assistants, vector stores, files. Keys are made on the command line. */

import { fill, h } from "../core/dom.js";
import { to } from "../core/router.js";
import { showAssistant, showAssistants } from "./assistants.js";
import { showFiles } from "./files.js";
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
  else fill(body, keys());
}

function keys() {
  return h(
    "div.card.pad.stack",
    null,
    h("h2", null, "Keys are made where the server runs"),
    h("p.soft", null, "No request can make a key or read one, so a page cannot either. On the machine of the server:"),
    h("pre.code", { tabindex: "0" }, "locum keys create --name laptop\nlocum keys list\nlocum keys revoke key_…"),
    h("p.soft", null, "While there is no key at all, every key is accepted, and the server listens on this machine only."),
  );
}
