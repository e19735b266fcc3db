/** What the shelves share: deleting with a question, and the form of a thing. */

import { connection } from "../core/connection.js";
import { h, icon } from "../core/dom.js";
import { dialog, notice } from "../core/parts.js";

/** @param {string} what @param {string} path @param {() => void} onDone */
export function deleter(what, path, onDone) {
  const ask = () => {
    const remove = async () => {
      box.close();
      try {
        await connection.json(path, { method: "DELETE" });
        notice("Deleted.");
        onDone();
      } catch (error) {
        notice(/** @type {Error} */ (error).message, { kind: "bad", ms: 7000 });
      }
    };
    const box = dialog(
      "Delete?",
      h("div.stack", null, h("p", null, `${what} will be gone for good.`), h("div.row", null, h("button.danger", { type: "button", onclick: remove }, icon("trash"), "Delete"), h("button", { type: "button", onclick: () => box.close() }, "Keep it"))),
    );
  };
  return h("button.quiet.danger", { type: "button", "aria-label": `Delete ${what}`, title: "Delete", onclick: ask }, icon("trash"));
}

/** @param {() => Promise<void>} work */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    notice(/** @type {Error} */ (error).message, { kind: "bad", ms: 7000 });
  }
}
