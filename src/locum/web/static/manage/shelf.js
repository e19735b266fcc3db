/** What the shelves share: deleting with a question, and the form of a thing. */

import { connection } from "../core/connection.js";
import { h, icon } from "../core/dom.js";
import { dialog, notice } from "../core/parts.js";

/** @param {string} what @param {string} path @param {() => void} onDone */
export function deleter(what, path, onDone) {
  return remover("Delete", what, `${what} will be gone for good.`, async () => {
    await connection.json(path, { method: "DELETE" });
    notice("Deleted.");
    onDone();
  });
}

/** A button for what cannot be taken back. @param {string} verb @param {string} what @param {string} warning @param {() => Promise<void>} work */
export function remover(verb, what, warning, work) {
  const ask = () => {
    const remove = () => {
      box.close();
      attempt(work);
    };
    const box = dialog(
      `${verb}?`,
      h("div.stack", null, h("p", null, warning), h("div.row", null, h("button.danger", { type: "button", onclick: remove }, icon("trash"), verb), h("button", { type: "button", onclick: () => box.close() }, "Keep it"))),
    );
  };
  return h("button.quiet.danger", { type: "button", "aria-label": `${verb} ${what}`, title: verb, onclick: ask }, icon("trash"));
}

/** @param {() => Promise<void>} work */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    notice(/** @type {Error} */ (error).message, { kind: "bad", ms: 7000 });
  }
}
