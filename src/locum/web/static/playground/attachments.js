/** Files for the next message: uploaded as they are chosen, given with what is said. */

import { connection } from "../core/connection.js";
import { h, icon } from "../core/dom.js";
import { notice } from "../core/parts.js";

const TOOLS = { code_interpreter: "for code", file_search: "for search" };

export class Attachments {
  constructor() {
    /** @type {any[]} */
    this.files = [];
    /** How many choices of files are still being uploaded. */
    this.coming = 0;
    this.list = h("div.row.chips");
    const input = h("input.offscreen", { type: "file", multiple: true, id: "attach", onchange: () => this.#upload(input) });
    this.tool = h("select", { "aria-label": "What files are for" }, Object.entries(TOOLS).map(([id, words]) => h("option", { value: id }, words)));
    this.element = h("div.row.attach", null, input, h("label.button", { for: "attach" }, icon("attach"), "Files"), this.tool, this.list);
  }

  /** What to send with the message. */
  given() {
    return this.files.map(({ id, tool }) => ({ file_id: id, tools: [{ type: tool }] }));
  }

  /** What has been sent is given no second time. @param {any[]} sent */
  drop(sent) {
    const ids = new Set(sent.map((one) => one.file_id));
    for (const { id, chip } of this.files) if (ids.has(id)) chip.remove();
    this.files = this.files.filter(({ id }) => !ids.has(id));
  }

  /** @param {HTMLInputElement} input */
  async #upload(input) {
    this.coming += 1;
    for (const file of input.files ?? []) {
      const form = new FormData();
      form.append("purpose", "assistants");
      form.append("file", file, file.name);
      const chip = h("span.chip", null, `${file.name} …`);
      this.list.append(chip);
      try {
        const made = await connection.json("/files", { method: "POST", form });
        this.files.push({ id: made.id, tool: this.tool.value, chip });
        chip.textContent = file.name;
      } catch (error) {
        chip.remove();
        notice(/** @type {Error} */ (error).message, { kind: "bad" });
      }
    }
    input.value = "";
    this.coming -= 1;
  }
}
