/** The same request as code, in the language one reads best. It follows every keystroke. */

import { fill, h } from "../core/dom.js";
import { copyButton } from "../core/parts.js";
import { LANGUAGES, snippet } from "../snippets/languages.js";

const CHOSEN = "locum.language";

export class CodePanel {
  constructor() {
    const kept = localStorage.getItem(CHOSEN);
    this.language = LANGUAGES.some(({ id }) => id === kept) ? /** @type {string} */ (kept) : "python_sdk";
    this.request = /** @type {import("./request.js").Request | null} */ (null);
    this.text = "";
    this.shown = h("pre.code.snippet", { tabindex: "0", "aria-label": "Code", data: { snippet: "" } });
    const select = h(
      "select",
      {
        "aria-label": "Language",
        onchange: () => {
          this.language = select.value;
          localStorage.setItem(CHOSEN, this.language);
          if (this.request) this.show(this.request);
        },
      },
      LANGUAGES.map(({ id, label }) => h("option", { value: id, selected: id === this.language }, label)),
    );
    this.element = h(
      "section.card.code-panel",
      { "aria-label": "Code" },
      h("div.code-head", null, select, h("span.grow"), copyButton("Copy the code", () => this.text, "Copy")),
      this.shown,
      h("p.help.pad-small", null, "The key is read from OPENAI_API_KEY where the program runs; it is never part of the code."),
    );
  }

  /** @param {import("./request.js").Request} request */
  show(request) {
    this.request = request;
    this.text = snippet(this.language, request);
    this.shown.dataset.snippet = request.operation.id;
    fill(this.shown, this.text);
  }
}
