/**
 * Fields for shapes. A field has an element, a value that is `undefined` while nothing is given,
 * and can be given one. Every change is told by an `input` event that bubbles.
 */

import { fill, h, icon } from "../core/dom.js";
import { fault } from "./fault.js";
import { helpOf, shapeOf } from "./shape.js";

/** @typedef {{ element: HTMLElement, get: () => any, set: (value: any) => void }} Field */
/** @typedef {import("./document.js").Api} Api */

let made = 0;

/** A field with its name, mark and help. @param {Api} api @param {string} name @param {any} schema @param {boolean} required @returns {Field} */
export function named(api, name, schema, required) {
  const shape = shapeOf(api, schema);
  const id = `field-${(made += 1)}`;
  const field = fieldFor(api, shape, { id, required, label: name });
  const help = helpOf(shape);
  const isBox = ["object", "map", "union", "list", "json"].includes(shape.kind);
  const label = isBox ? h("span.field-name", { id: `${id}-name` }, name) : h("label.field-name", { for: id }, name);
  if (required) label.append(h("span.must", { title: "required", "aria-hidden": "true" }, "*"), h("span.offscreen", null, " required"));
  label.append(" ", h("span.kind-name", null, kindWord(shape)));
  const element = h("div.field", { class: `is-${shape.kind}`, data: { field: name }, role: isBox ? "group" : null, "aria-labelledby": isBox ? `${id}-name` : null }, label, field.element, help && h("p.help", null, help));
  return { ...field, element };
}

/** @param {import("./shape.js").Shape} shape */
function kindWord(shape) {
  const words = { text: "text", number: shape.integer ? "integer" : "number", choice: "choice", list: "list", object: "object", map: "pairs", union: "one of", json: "JSON", boolean: "yes or no", file: "file", fixed: "fixed" };
  return words[shape.kind];
}

/** @param {Api} api @param {import("./shape.js").Shape} shape @param {{ id: string, required: boolean, label: string }} options @returns {Field} */
function fieldFor(api, shape, options) {
  switch (shape.kind) {
    case "text":
      return text(shape, options);
    case "number":
      return number(shape, options);
    case "boolean":
      return choice([true, false], options);
    case "choice":
      return choice(shape.options ?? [], options);
    case "fixed":
      return fixed(shape.value, options);
    case "file":
      return file(options);
    case "list":
      return list(api, shape, options);
    case "object":
      return object(api, shape, options);
    case "map":
      return map(options);
    case "union":
      return union(api, shape, options);
    default:
      return json(shape, options);
  }
}

/** @param {any} shape @param {any} options @returns {Field} */
function text(shape, { id, required }) {
  const input = shape.long
    ? h("textarea", { id, rows: 2, required })
    : h("input", { id, type: "text", required, spellcheck: "false", autocomplete: "off" });
  return {
    element: input,
    get: () => (input.value === "" ? undefined : input.value),
    set: (value) => (input.value = value ?? ""),
  };
}

/** @param {any} shape @param {any} options @returns {Field} */
function number(shape, { id, required, label }) {
  const { minimum, maximum } = shape.schema;
  const input = h("input", { id, type: "number", required, min: minimum, max: maximum, step: shape.integer ? 1 : "any" });
  input.addEventListener("input", () => input.setCustomValidity(input.validity.badInput ? `'${label}' is no number` : ""));
  return {
    element: input,
    get: () => (input.value === "" || Number.isNaN(input.valueAsNumber) ? undefined : input.valueAsNumber),
    set: (value) => {
      input.value = value ?? "";
      input.setCustomValidity("");
    },
  };
}

/** @param {any[]} values @param {any} options @returns {Field} */
function choice(values, { id, required }) {
  const select = h("select", { id, required }, h("option", { value: "" }, "—"), values.map((value) => h("option", { value: String(value) }, String(value))));
  return {
    element: select,
    get: () => values.find((value) => String(value) === select.value),
    set: (value) => (select.value = value === undefined || value === null ? "" : String(value)),
  };
}

/** @param {any} value @param {any} options @returns {Field} */
function fixed(value, { id, required }) {
  if (required) return { element: h("output", { id }, String(value)), get: () => value, set: () => {} };
  const box = h("input", { id, type: "checkbox" });
  return {
    element: h("label.check", null, box, h("code", null, String(value))),
    get: () => (box.checked ? value : undefined),
    set: (given) => (box.checked = given !== undefined && given !== null),
  };
}

/** @param {any} options @returns {Field} */
function file({ id, required }) {
  const input = h("input", { id, type: "file", required });
  return { element: input, get: () => input.files?.[0], set: () => {} };
}

/** @param {any} shape @param {any} options @returns {Field} */
function json(shape, { id, label }) {
  const area = h("textarea.mono", { id, rows: 3, spellcheck: "false", "aria-label": label, placeholder: shape.schema.type === "object" ? "{ }" : "JSON or plain text" });
  const problem = h("p.problem");
  const look = () => {
    const isBroken = read(area.value) instanceof Error;
    area.setCustomValidity(isBroken ? `'${label}' is no JSON at ${fault(area.value)}` : "");
    fill(problem, isBroken && "This is not JSON yet.");
  };
  area.addEventListener("input", look);
  /** @param {string} text */
  const read = (text) => {
    try {
      return JSON.parse(text);
    } catch (error) {
      if (text.trim() === "") return undefined;
      return shape.schema.type === "object" || /^\s*[[{"]/.test(text) ? error : text;
    }
  };
  return {
    element: h("div", null, area, problem),
    get: () => {
      const value = read(area.value);
      return value instanceof Error ? undefined : value;
    },
    set: (value) => {
      area.value = value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value, null, 2);
      look();
    },
  };
}

/** @param {Api} api @param {any} shape @param {any} options @returns {Field} */
function list(api, shape, { label }) {
  const inner = shapeOf(api, shape.items);
  if (inner.kind === "choice" || inner.kind === "fixed") return several(inner.options ?? [inner.value], label);
  /** @type {Field[]} */
  let rows = [];
  const place = h("div.rows");
  const addRow = (/** @type {any} */ value) => {
    const field = fieldFor(api, inner, { id: `field-${(made += 1)}`, required: true, label: `${label} ${rows.length + 1}` });
    if (!field.element.querySelector("[aria-label]")) field.element.setAttribute("aria-label", `${label} ${rows.length + 1}`);
    if (value !== undefined) field.set(value);
    const row = h("div.list-row", null, field.element, remover(`Remove from ${label}`, () => {
      rows = rows.filter((one) => one !== field);
      row.remove();
      told(place);
    }));
    rows.push(field);
    place.append(row);
  };
  return {
    element: h("div", null, place, adder(`Add to ${label}`, () => (addRow(undefined), told(place)))),
    get: () => {
      const values = rows.map((row) => row.get()).filter((value) => value !== undefined);
      return values.length ? values : undefined;
    },
    set: (values) => {
      rows = [];
      fill(place);
      for (const value of Array.isArray(values) ? values : []) addRow(value);
    },
  };
}

/** @param {any[]} values @param {string} label @returns {Field} */
function several(values, label) {
  const boxes = values.map((value) => h("input", { type: "checkbox", value: String(value) }));
  const element = h("div", { role: "group", "aria-label": label }, boxes.map((box, at) => h("label.check", null, box, h("code", null, String(values[at])))));
  return {
    element,
    get: () => {
      const chosen = values.filter((_, at) => boxes[at].checked);
      return chosen.length ? chosen : undefined;
    },
    set: (given) => boxes.forEach((box, at) => (box.checked = [given].flat().includes(values[at]))),
  };
}

/** Optional objects are built when they are opened, so recursive schemas end. @param {Api} api @param {any} shape @param {any} options @returns {Field} */
function object(api, shape, { required, label }) {
  /** @type {Map<string, Field> | null} */
  let fields = null;
  const place = h("div.nested");
  const build = () => {
    if (fields) return fields;
    fields = new Map(shape.properties.map((/** @type {[string, any, boolean]} */ [name, schema, must]) => [name, named(api, name, schema, must)]));
    fill(place, [...fields.values()].map((field) => field.element));
    return fields;
  };
  const box = required ? null : h("details.optional", { ontoggle: (/** @type {any} */ event) => event.target.open && build() }, h("summary", null, `Set ${label}`), place);
  if (required) build();
  return {
    element: box ?? place,
    get: () => {
      if (!fields || (box && !box.open)) return required ? {} : undefined;
      const value = gather(fields);
      return required || Object.keys(value).length ? value : undefined;
    },
    set: (value) => {
      if (value === undefined || value === null) {
        if (box) box.open = false;
        return;
      }
      if (box) box.open = true;
      for (const [name, field] of build()) field.set(value[name]);
    },
  };
}

/** @param {Map<string, Field>} fields */
export function gather(fields) {
  /** @type {Record<string, any>} */
  const value = {};
  for (const [name, field] of fields) {
    const one = field.get();
    if (one !== undefined) value[name] = one;
  }
  return value;
}

/** @param {any} options @returns {Field} */
function map({ label }) {
  const place = h("div.rows");
  const addRow = (/** @type {string} */ key, /** @type {string} */ value) => {
    const row = h(
      "div.list-row.pair-row",
      null,
      h("input", { type: "text", value: key, placeholder: "key", "aria-label": `Key in ${label}` }),
      h("input", { type: "text", value, placeholder: "value", "aria-label": `Value in ${label}` }),
      remover("Remove the pair", () => (row.remove(), told(place))),
    );
    place.append(row);
  };
  return {
    element: h("div", null, place, adder(`Add to ${label}`, () => addRow("", ""))),
    get: () => {
      const pairs = [...place.children].map((row) => [...row.querySelectorAll("input")].map((input) => input.value));
      const given = pairs.filter(([key]) => key !== "");
      return given.length ? Object.fromEntries(given) : undefined;
    },
    set: (value) => {
      fill(place);
      for (const [key, one] of Object.entries(value ?? {})) addRow(key, String(one));
    },
  };
}

/** @param {Api} api @param {any} shape @param {any} options @returns {Field} */
function union(api, shape, { required, label }) {
  const place = h("div.nested.variant");
  let chosen = /** @type {Field | null} */ (null);
  const select = h(
    "select",
    { "aria-label": `Kind of ${label}`, onchange: () => take(select.value === "" ? null : Number(select.value)) },
    h("option", { value: "" }, "—"),
    shape.variants.map((/** @type {any} */ variant, /** @type {number} */ at) => h("option", { value: at }, variant.name)),
  );
  /** @param {number | null} at */
  const take = (at) => {
    select.value = at === null ? "" : String(at);
    chosen = at === null ? null : fieldFor(api, shapeOf(api, shape.variants[at].schema), { id: `field-${(made += 1)}`, required: true, label });
    if (chosen && !chosen.element.querySelector("[aria-label]")) chosen.element.setAttribute("aria-label", label);
    fill(place, chosen?.element);
    told(place);
  };
  if (required) take(0);
  return {
    element: h("div", null, select, place),
    get: () => chosen?.get(),
    set: (value) => {
      if (value === undefined || value === null) return take(required ? 0 : null);
      take(variantOf(api, shape.variants, value));
      chosen?.set(value);
    },
  };
}

/** @param {Api} api @param {any[]} variants @param {any} value */
function variantOf(api, variants, value) {
  const fits = (/** @type {any} */ variant) => {
    const shape = shapeOf(api, variant.schema);
    if (Array.isArray(value)) return shape.kind === "list";
    if (typeof value === "string") return shape.kind === "text" || (shape.kind === "fixed" && shape.value === value) || (shape.options ?? []).includes(value);
    return shape.kind === "object" && (value.type === undefined || variant.name === value.type);
  };
  return Math.max(variants.findIndex(fits), 0);
}

/** @param {string} label @param {() => void} work */
function adder(label, work) {
  return h("button.quiet.adder", { type: "button", "aria-label": label, onclick: work }, icon("plus"), "Add");
}

/** @param {string} label @param {() => void} work */
function remover(label, work) {
  return h("button.quiet", { type: "button", "aria-label": label, title: label, onclick: work }, icon("close"));
}

/** @param {Element} element */
function told(element) {
  element.dispatchEvent(new Event("input", { bubbles: true }));
}
