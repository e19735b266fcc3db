/** Vector stores: a list, and one with its files and a search box. */

import { connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { pause } from "../core/events.js";
import { bytes, dateTime, number, shortId } from "../core/format.js";
import { badge, beyond, empty, failure, later, loading } from "../core/parts.js";
import { go, to } from "../core/router.js";
import { passage } from "../timeline/step_details.js";
import { attempt, deleter } from "./shelf.js";

const LOOK_AGAIN_MS = 1000;

/** @param {HTMLElement} place @param {AbortSignal} signal */
export function showStores(place, signal) {
  const name = h("input", { type: "text", "aria-label": "Name of the new store", placeholder: "Name of a new store" });
  const add = h(
    "form.row",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        attempt(async () => {
          const made = await connection.json("/vector_stores", { method: "POST", body: name.value ? { name: name.value } : {} });
          go(to(["manage", "stores", made.id]));
        });
      },
    },
    h("div", null, name),
    h("button", { type: "submit" }, icon("plus"), "Create"),
  );
  later(place, signal, () => connection.all("/vector_stores", [], undefined, { signal, most: 500 }), (found) => {
    if (!found.data.length) return h("div", null, empty("No vector stores yet", "A store holds files that assistants search.", add));
    return h("div.stack", null, add, h("ul.list.card", null, found.data.map((one) => item(one, () => showStores(place, signal)))), beyond(found, "list_vector_stores"));
  });
}

/** @param {any} one @param {() => void} again */
function item(one, again) {
  return h(
    "li.with-tool",
    null,
    h(
      "a.item",
      { href: to(["manage", "stores", one.id]) },
      h("strong", null, one.name || shortId(one.id)),
      h("span.sub", null, `${number(one.file_counts.total)} files · ${bytes(one.usage_bytes)}`),
      h("span.end", null, badge(one.status), dateTime(one.created_at)),
    ),
    deleter(one.name || one.id, `/vector_stores/${encodeURIComponent(one.id)}`, again),
  );
}

/** @param {HTMLElement} place @param {string} id @param {AbortSignal} signal */
export function showStore(place, id, signal) {
  const path = `/vector_stores/${encodeURIComponent(id)}`;
  later(place, signal, () => connection.json(path, { signal }), (store) => {
    const status = h("span", null, badge(store.status));
    const files = h("div");
    const again = () => fillFiles(files, status, path, signal);
    again();
    return h(
      "div.stack",
      null,
      h("div.row", null, h("h2", null, store.name || shortId(store.id)), status, h("span.mono.faint", null, store.id)),
      searchBox(path, signal),
      upload(path, again),
      files,
    );
  });
}

/** The files of a store, looked at again while any is being read. @param {Element} place @param {Element} status @param {string} path @param {AbortSignal} signal */
async function fillFiles(place, status, path, signal) {
  const again = () => fillFiles(place, status, path, signal);
  try {
    for (;;) {
      const [store, files, all] = await Promise.all([
        connection.json(path, { signal }),
        connection.all(`${path}/files`, [], undefined, { signal, most: 1000 }),
        connection.json("/files", { query: [["limit", "10000"]], signal }),
      ]);
      const names = new Map(all.data.map((/** @type {any} */ file) => [file.id, file.filename]));
      fill(status, badge(store.status));
      const items = files.data.map((file) => fileItem(file, names.get(file.id), path, again));
      fill(
        place,
        items.length ? h("ul.list.card", null, items) : h("p.faint", null, "No files in this store yet."),
        beyond(files, "list_vector_store_files", { vector_store_id: store.id }),
      );
      if (!files.data.some((file) => file.status === "in_progress")) return;
      await pause(LOOK_AGAIN_MS, signal);
      if (signal.aborted || !place.isConnected) return;
    }
  } catch (error) {
    if (!signal.aborted) fill(place, failure(error, again));
  }
}

/** @param {string} path @param {AbortSignal} signal */
function searchBox(path, signal) {
  const query = h("input", { type: "search", "aria-label": "Search in this store", placeholder: "Search in this store   /", data: { find: "" } });
  const results = h("div.stack");
  const search = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!query.value.trim()) return;
    fill(results, loading("Searching"));
    try {
      const body = { query: query.value, max_num_results: 10 };
      const found = await connection.json(`${path}/search`, { method: "POST", body, signal });
      const words = query.value.match(/[\p{L}\p{N}]{3,}/gu) ?? [];
      fill(results, found.data.length ? found.data.map((/** @type {any} */ one, /** @type {number} */ at) => passage(one, at, words)) : h("p.faint", null, "Nothing in this store comes near."));
    } catch (error) {
      fill(results, failure(error));
    }
  };
  return h("div.stack", null, h("form.row.search", { onsubmit: search }, h("div.grow", null, query), h("button.primary", { type: "submit" }, icon("file_search"), "Search")), results);
}

/** @param {string} path @param {() => void} again */
function upload(path, again) {
  const input = h("input", {
    type: "file",
    multiple: true,
    "aria-label": "Add files to this store",
    onchange: () =>
      attempt(async () => {
        for (const file of input.files ?? []) {
          const form = new FormData();
          form.append("purpose", "assistants");
          form.append("file", file, file.name);
          const made = await connection.json("/files", { method: "POST", form });
          await connection.json(`${path}/files`, { method: "POST", body: { file_id: made.id } });
        }
        again();
      }),
  });
  return h("div.row", null, h("span.soft", null, "Add files"), input);
}

/** @param {any} file @param {string | undefined} name @param {string} path @param {() => void} again */
function fileItem(file, name, path, again) {
  return h(
    "li.with-tool",
    null,
    h(
      "div.item",
      null,
      h("strong", null, name ?? shortId(file.id)),
      h("span.sub", null, h("span.mono", null, file.id), ` · ${bytes(file.usage_bytes)}`, file.last_error && ` · ${file.last_error.message}`),
      h("span.end", null, badge(file.status)),
    ),
    deleter(`${name ?? file.id} in this store`, `${path}/files/${encodeURIComponent(file.id)}`, again),
  );
}
