/** Files: upload, save, delete. */

import { connection } from "../core/connection.js";
import { h, icon } from "../core/dom.js";
import { bytes, dateTime } from "../core/format.js";
import { beyond, empty, later, save } from "../core/parts.js";
import { attempt, deleter } from "./shelf.js";

/** @param {HTMLElement} place @param {AbortSignal} signal */
export function showFiles(place, signal) {
  const again = () => showFiles(place, signal);
  later(place, signal, () => connection.json("/files", { query: [["limit", "1000"]], signal }), (found) =>
    h(
      "div.stack",
      null,
      upload(again),
      found.data.length ? h("ul.list.card", null, found.data.map((/** @type {any} */ file) => item(file, again))) : empty("No files yet", "Files are uploaded here, in the playground, or by any client; code that runs makes them too."),
      beyond(found, "list_files"),
    ),
  );
}

/** @param {() => void} again */
function upload(again) {
  const input = h("input", {
    type: "file",
    multiple: true,
    "aria-label": "Upload files",
    onchange: () =>
      attempt(async () => {
        for (const file of input.files ?? []) {
          const form = new FormData();
          form.append("purpose", "assistants");
          form.append("file", file, file.name);
          await connection.json("/files", { method: "POST", form });
        }
        again();
      }),
  });
  return h("div.row", null, h("span.soft", null, "Upload for assistants"), input);
}

/** @param {any} file @param {() => void} again */
function item(file, again) {
  const take = () => attempt(async () => save(file.filename, await connection.file(file.id)));
  return h(
    "li.with-tool",
    null,
    h(
      "div.item",
      null,
      h("strong", null, file.filename),
      h("span.sub", null, h("span.mono", null, file.id), ` · ${file.purpose} · ${bytes(file.bytes)}`),
      h("span.end", null, dateTime(file.created_at)),
    ),
    h("button.quiet", { type: "button", "aria-label": `Save ${file.filename}`, title: "Save", onclick: take }, icon("download")),
    deleter(file.filename, `/files/${encodeURIComponent(file.id)}`, again),
  );
}
