/** One step on the axis: a row that opens to all the step has to tell. */

import { fill, h, icon } from "../core/dom.js";
import { cut, duration, money, number } from "../core/format.js";
import { stepDetails } from "./step_details.js";
import { cost, kindOf, mcpOf } from "./reckoning.js";

const NAMES = {
  message: "Message",
  code_interpreter: "Code interpreter",
  file_search: "File search",
  function: "Function",
  mcp: "MCP",
};

/** @param {string} kind */
export function kindName(kind) {
  return NAMES[/** @type {keyof typeof NAMES} */ (kind)] ?? kind.replaceAll("_", " ");
}

/** @typedef {{ price: any, currency: string, run: any, words: () => string[], message: (id: string) => any, pictures: import("./pictures.js").Pictures }} Context */

export class StepRow {
  /** @param {any} step @param {number} at @param {Context} context */
  constructor(step, at, context) {
    this.context = context;
    this.at = at;
    this.open = false;
    this.span = { start: -1, end: -1, wait: -1 };
    this.parts = {
      icon: h("span.kind"),
      what: h("span.what"),
      gap: h("span.gap"),
      bar: h("span.span"),
      time: h("span.num"),
      tokens: h("span.num.tokens"),
      cost: h("span.num.cost"),
    };
    const { parts } = this;
    this.head = h(
      "button.step-head",
      { type: "button", "aria-expanded": "false", onclick: () => this.toggle() },
      h("span.n", null, at + 1),
      parts.icon,
      parts.what,
      h("span.lane", { "aria-hidden": "true" }, parts.gap, parts.bar),
      parts.time,
      parts.tokens,
      parts.cost,
    );
    this.body = h("div.step-body", { hidden: true });
    this.element = h("li.step", { data: { step: step.id } }, this.head, this.body);
    this.update(step);
  }

  /** @param {any} step */
  update(step) {
    this.step = step;
    const kind = kindOf(step, this.context.run);
    const { parts } = this;
    if (this.element.dataset.kind !== kind) fill(parts.icon, icon(kind));
    this.element.dataset.kind = kind;
    this.element.dataset.status = step.status;
    const calls = step.step_details.tool_calls ?? [];
    const many = calls.length > 1 ? ` × ${calls.length}` : "";
    const said = summary(step, this.context);
    fill(
      parts.what,
      h("b", null, kindName(kind) + many),
      step.status !== "completed" && h("em", null, step.status.replaceAll("_", " ")),
      said && h("span", null, said),
    );
    fill(parts.tokens, step.usage ? number(step.usage.total_tokens) : "");
    fill(parts.cost, this.context.price && step.usage ? money(cost(step.usage, this.context.price), "") : "");
    if (this.open) this.#draw();
  }

  /** @param {import("./reckoning.js").Span} span */
  place(span) {
    // While a run goes on this is asked of every row at every frame, and changes in one of them.
    const before = this.span;
    if (span.start === before.start && span.end === before.end && span.wait === before.wait) return;
    this.span = span;
    const { style } = this.element;
    style.setProperty("--from", String(span.start));
    style.setProperty("--for", String(span.end - span.start));
    style.setProperty("--wait", String(span.wait));
    const wait = span.wait >= 1 ? `after ${duration(span.wait)} of waiting for the model` : "";
    this.parts.time.title = wait;
    fill(this.parts.time, duration(span.end - span.start));
  }

  toggle(open = !this.open) {
    this.open = open;
    this.head.setAttribute("aria-expanded", String(open));
    this.body.hidden = !open;
    this.element.classList.toggle("open", open);
    if (open) this.#draw();
    else this.body.replaceChildren();
  }

  #draw() {
    fill(this.body, stepDetails(this.step, this.context));
  }
}

/** A line that tells one step from the next. @param {any} step @param {Context} context */
function summary(step, context) {
  if (step.last_error) return step.last_error.message;
  if (step.type === "message_creation") {
    const message = context.message(step.step_details.message_creation.message_id);
    const text = message?.content?.find((/** @type {any} */ part) => part.type === "text");
    return text ? cut(text.text.value, 120) : "";
  }
  const call = step.step_details.tool_calls?.[0];
  if (!call) return "";
  if (call.type === "code_interpreter") return cut(call.code_interpreter?.input ?? "", 120);
  if (call.type === "function") {
    const server = mcpOf(call, context.run);
    return cut(`${server ? server.tool : call.function.name}(${call.function.arguments ?? ""})`, 120);
  }
  if (call.type === "file_search") {
    const results = call.file_search?.results ?? [];
    const best = results[0];
    return best ? `${results.length} passages, best ${best.score.toFixed(2)} in ${best.file_name}` : "";
  }
  return call.type;
}
