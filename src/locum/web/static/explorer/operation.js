/** One operation: its form, its code, its answer. */

import { connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { copyButton } from "../core/parts.js";
import { say, to } from "../core/router.js";
import { Answer } from "./answer.js";
import { CodePanel } from "./code.js";
import { fault } from "./fault.js";
import { gather, named } from "./fields.js";
import { lostOf } from "./lost.js";
import { requestOf } from "./request.js";

const VERSION = "locum.beta";
/** Names under which people put what must not be in a link. */
const SECRET = /^(?:headers|authorization|password|secret|token|api_?key)$/i;
const LONGEST_LINK = 6000;

export class OperationView {
  /**
   * @param {HTMLElement} place @param {import("./document.js").Api} api
   * @param {import("./document.js").Operation} operation @param {URLSearchParams} query @param {AbortSignal} signal
   */
  constructor(place, api, operation, query, signal) {
    this.place = place;
    this.api = api;
    this.operation = operation;
    this.signal = signal;
    this.beta = operation.onlyV1 ? "v1" : (query.get("v") ?? sessionStorage.getItem(VERSION) ?? "v2");
    /** @type {Record<"path" | "query", Map<string, import("./fields.js").Field>>} */
    this.fields = { path: new Map(), query: new Map() };
    for (const one of operation.parameters) {
      if (one.in !== "path" && one.in !== "query") continue;
      const described = { ...api.resolve(one.schema), ...(one.description ? { description: one.description } : {}) };
      this.fields[/** @type {"path" | "query"} */ (one.in)].set(one.name, named(api, one.name, described, Boolean(one.required)));
    }
    this.body = operation.body ? new BodyEditor(api, operation.body) : null;
    this.code = new CodePanel();
    this.answer = new Answer(api, signal);
    this.#fillFrom(query);
  }

  draw() {
    const { operation } = this;
    const form = h(
      "form.form",
      {
        novalidate: true,
        oninput: () => this.#changed(),
        onchange: () => this.#changed(),
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#send();
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) this.#send();
        },
      },
      this.#section("Path", this.fields.path),
      this.#section("Query", this.fields.query),
      this.body && h("section", null, this.body.element),
      h(
        "div.row.send",
        null,
        h("button.primary", { type: "submit", title: "Ctrl or ⌘ and Enter" }, icon("send"), "Send"),
        this.#versions(),
        h("span.grow"),
        copyButton("Copy a link to this form, without secrets", () => this.#link(), "Link"),
      ),
    );
    this.form = form;
    fill(
      this.place,
      h(
        "header.op-head",
        null,
        h("h1", null, operation.summary),
        h("p.op-path", null, h("span.verb", { data: { method: operation.method } }, operation.method), h("code", null, operation.path)),
        operation.text && h("p.soft", null, operation.text),
      ),
      h("div.bench", null, form, h("div.results", null, this.code.element, this.answer.element)),
    );
    this.#changed();
  }

  /** @param {string} title @param {Map<string, import("./fields.js").Field>} fields */
  #section(title, fields) {
    if (!fields.size) return null;
    return h("section", null, h("h2", null, title), [...fields.values()].map((field) => field.element));
  }

  #versions() {
    const select = h(
      "select.version",
      {
        "aria-label": "Version header",
        disabled: this.operation.onlyV1,
        onchange: () => {
          this.beta = select.value;
          sessionStorage.setItem(VERSION, this.beta);
          this.#changed();
        },
      },
      ["v2", "v1"].map((one) => h("option", { value: one, selected: one === this.beta }, `assistants=${one}`)),
    );
    return select;
  }

  /** @returns {import("./request.js").Request} */
  request() {
    const given = {
      path: gather(this.fields.path),
      query: gather(this.fields.query),
      body: this.body?.get(),
    };
    return requestOf(this.operation, given, { base: location.origin + connection.base, beta: this.beta });
  }

  #changed() {
    const request = this.request();
    this.code.show(request);
    say(this.#address(request));
  }

  async #send() {
    const missing = [...this.fields.path].find(([, field]) => field.get() === undefined);
    if (missing) {
      const input = /** @type {HTMLElement | null} */ (missing[1].element.querySelector("input, select"));
      input?.focus();
      this.answer.refuse(`'${missing[0]}' is part of the path and must be given.`);
      return;
    }
    // However they are written, browsers take them out of an address, with what stands before.
    const dots = [...this.fields.path].find(([, field]) => /^\.\.?$/.test(field.get()));
    if (dots) {
      this.answer.refuse(`'${dots[0]}' cannot be '${dots[1].get()}': the request would be another one.`);
      return;
    }
    const broken = brokenIn(this.place);
    if (broken) {
      broken.focus();
      this.answer.refuse(`${broken.validationMessage}: nothing was sent.`);
      return;
    }
    await this.answer.ask(this.request());
  }

  #link() {
    return new URL(this.#address(this.request()), location.href).href;
  }

  /** @param {import("./request.js").Request} request */
  #address({ given }) {
    /** @type {[string, string][]} */
    const told = Object.entries(given.path).map(([name, value]) => [name, String(value)]);
    for (const [name, value] of Object.entries(given.query)) {
      told.push([name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
    }
    if (this.body?.isJson && given.body !== undefined) {
      const body = JSON.stringify(given.body, (key, value) => (SECRET.test(key) ? undefined : value));
      if (body !== "{}" && body.length < LONGEST_LINK) told.push(["body", body]);
    }
    if (this.beta !== "v2" && !this.operation.onlyV1) told.push(["v", this.beta]);
    return to(["explorer", this.operation.id], told);
  }

  /** @param {URLSearchParams} query */
  #fillFrom(query) {
    for (const [name, field] of [...this.fields.path, ...this.fields.query]) {
      const value = query.get(name);
      if (value !== null) field.set(plain(value));
    }
    const body = query.get("body");
    if (body !== null) this.body?.set(plain(body));
  }
}

/** What is shown, and can be no value as it is written: a request would leave without it. @param {Element} place */
function brokenIn(place) {
  const written = /** @type {NodeListOf<HTMLInputElement>} */ (place.querySelectorAll("input, textarea"));
  return [...written].find((one) => one.validity.customError && !one.closest("[hidden], details:not([open])"));
}

/** @param {string} text */
function plain(text) {
  if (!/^[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A body as a form, or as the JSON it makes; each is filled from the other. */
class BodyEditor {
  /** @param {import("./document.js").Api} api @param {NonNullable<import("./document.js").Operation["body"]>} body */
  constructor(api, body) {
    this.isJson = body.media !== "multipart/form-data";
    this.field = named(api, "Body", body.schema, true);
    this.raw = false;
    this.area = h("textarea.mono.raw", { rows: 14, spellcheck: "false", "aria-label": "Body as JSON", hidden: true });
    this.problem = h("p.problem", { role: "status" });
    this.area.addEventListener("input", () => this.#read());
    const tab = (/** @type {string} */ name, /** @type {boolean} */ raw) =>
      h("button", { type: "button", role: "tab", "aria-selected": String(raw === this.raw), onclick: () => this.#turn(raw) }, name);
    this.tabs = [tab("Form", false), tab("JSON", true)];
    this.element = h(
      "div.body-editor",
      null,
      h("div.label", null, h("h2", null, "Body"), this.isJson && h("div.tabs.small", { role: "tablist", "aria-label": "Edit the body as" }, this.tabs)),
      this.field.element,
      this.area,
      this.problem,
    );
    this.value = undefined;
  }

  get() {
    return this.raw ? this.value : this.field.get();
  }

  /** @param {any} value */
  set(value) {
    this.field.set(value);
    if (this.isJson && lostOf(value, this.field.get()) !== null) this.#showJson(value);
  }

  /** @param {boolean} raw */
  #turn(raw) {
    if (raw === this.raw) return;
    const broken = brokenIn(this.element);
    if (broken) {
      fill(this.problem, `${broken.validationMessage}: it would be lost.`);
      broken.focus();
      return;
    }
    if (raw) this.#showJson(this.field.get());
    else this.#showForm();
    this.area.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** @param {any} value */
  #showJson(value) {
    this.value = value;
    this.area.value = JSON.stringify(value ?? {}, null, 2);
    this.#show(true);
  }

  #showForm() {
    this.field.set(this.value);
    const lost = lostOf(this.value, this.field.get());
    if (lost === null) this.#show(false);
    else fill(this.problem, `The form cannot say '${lost}' as it is: it would be lost.`);
  }

  /** @param {boolean} raw */
  #show(raw) {
    this.raw = raw;
    this.area.hidden = !raw;
    this.field.element.hidden = raw;
    fill(this.problem);
    this.tabs.forEach((tab, at) => tab.setAttribute("aria-selected", String(Boolean(at) === raw)));
  }

  #read() {
    try {
      this.value = JSON.parse(this.area.value);
      this.area.setCustomValidity("");
      fill(this.problem);
    } catch {
      const place = fault(this.area.value);
      this.area.setCustomValidity(`The body is no JSON at ${place}`);
      fill(this.problem, `Not JSON yet: look at ${place}.`);
    }
  }
}
