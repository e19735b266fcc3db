/** What a step did, whole: code and its outputs, passages, calls, messages, errors. */

import { fill, h, icon } from "../core/dom.js";
import { bytes, dateTime, number } from "../core/format.js";
import { copyButton, dialog, save } from "../core/parts.js";
import { to } from "../core/router.js";
import { tree } from "../core/tree.js";
import { mcpOf } from "./reckoning.js";

/** @param {any} step @param {import("./step_row.js").Context} context */
export function stepDetails(step, context) {
  const calls = step.step_details.tool_calls ?? [];
  return h(
    "div.stack",
    null,
    step.last_error && errorBox(step.last_error),
    step.type === "message_creation" && messageBox(step, context),
    calls.map((/** @type {any} */ call) => callBox(call, context)),
    step.type === "tool_calls" && !calls.length && h("p.faint", null, "No call is known yet."),
    footer(step),
  );
}

/** @param {any} error */
export function errorBox(error) {
  return h("div.error-box", { role: "note" }, h("b", null, error.code), h("p", null, error.message));
}

/** @param {any} step @param {import("./step_row.js").Context} context */
function messageBox(step, context) {
  const id = step.step_details.message_creation.message_id;
  const message = context.message(id);
  const text = (message?.content ?? [])
    .map((/** @type {any} */ part) => part.text?.value ?? part.refusal ?? `[${part.type}]`)
    .join("\n\n");
  return h("div.code.prose", null, text || (step.status === "in_progress" ? "…" : `The message ${id} is gone or empty.`));
}

/** @param {any} call @param {import("./step_row.js").Context} context */
function callBox(call, context) {
  if (call.type === "code_interpreter") return codeBox(call.code_interpreter ?? {}, context);
  if (call.type === "file_search") return searchBox(call.file_search ?? {}, context);
  if (call.type === "function") return functionBox(call.function ?? {}, mcpOf(call, context.run));
  return h("div", null, h("h3", null, call.type), tree(call));
}

/** @param {any} code @param {import("./step_row.js").Context} context */
function codeBox(code, context) {
  const input = code.input ?? "";
  const outputs = code.outputs ?? [];
  return h(
    "div.stack",
    null,
    h("div.label", null, h("h3", null, "Code"), copyButton("Copy the code", () => input)),
    h("pre.code", { tabindex: "0" }, input),
    outputs.length > 0 && h("h3", null, outputs.length === 1 ? "Output" : "Outputs"),
    outputs.map((/** @type {any} */ output) => {
      if (output.type === "logs") return h("pre.code", { tabindex: "0" }, output.logs);
      if (output.type === "image") return image(output.image.file_id, "Picture made by the code", context.pictures);
      return tree(output);
    }),
  );
}

/** A file as a picture, fetched with the key and shown from memory. @param {string} fileId @param {string} alt @param {import("./pictures.js").Pictures} pictures */
export function image(fileId, alt, pictures) {
  const frame = h("figure.picture", null, h("div.bone"));
  pictures
    .get(fileId)
    .then(({ blob, url }) => {
      const keep = h("button", { type: "button", onclick: () => save(fileId, blob) }, icon("download"), bytes(blob.size));
      if (!url) return fill(frame, h("p.faint", null, "The file is no picture that can be shown."), keep);
      return fill(frame, h("img", { src: url, alt }), h("figcaption", null, h("span.mono", null, fileId), keep));
    })
    .catch((error) => fill(frame, h("p.faint", null, `The picture ${fileId} cannot be read: ${error.message}`)));
  return frame;
}

/** @param {any} search @param {import("./step_row.js").Context} context */
function searchBox(search, context) {
  const results = search.results ?? [];
  const floor = search.ranking_options?.score_threshold;
  return h(
    "div.stack",
    null,
    h(
      "div.label",
      null,
      h("h3", null, `${results.length} passages`),
      floor > 0 && h("span.faint", null, `score of ${floor} or more`),
    ),
    results.map((/** @type {any} */ result, /** @type {number} */ at) => passage(result, at, context.words())),
  );
}

/** @param {any} result @param {number} at @param {string[]} words */
export function passage(result, at, words) {
  const text = (result.content ?? []).map((/** @type {any} */ part) => part.text).join("\n");
  return h(
    "details.passage",
    { open: at < 3 },
    h(
      "summary",
      null,
      h("span.score", { vars: { score: String(result.score) }, title: `Score ${result.score}` }, result.score.toFixed(3)),
      h("b", null, result.file_name ?? result.filename ?? result.file_id),
      Object.keys(result.attributes ?? {}).length > 0 && h("span.faint", null, JSON.stringify(result.attributes)),
    ),
    text ? h("div.code.prose", null, highlight(text, words)) : h("p.faint", null, "The text of this passage was not kept."),
  );
}

/** The text with the words of the question marked, as nodes: never as markup. @param {string} text @param {string[]} words */
export function highlight(text, words) {
  if (!words.length) return [text];
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pieces = text.split(new RegExp(`(${escaped.join("|")})`, "giu"));
  return pieces.map((piece, at) => (at % 2 ? h("mark", null, piece) : piece));
}

/** @param {any} call @param {ReturnType<typeof mcpOf>} server which did it, if the client did not */
function functionBox(call, server) {
  return h(
    "div.stack",
    null,
    server && h("dl.server", null, h("dt", null, "Server"), h("dd", null, h("b", null, server.label), " ", h("span.mono.faint", null, server.url))),
    h("div.label", null, h("h3", null, server ? server.tool : call.name), copyButton("Copy the arguments", () => call.arguments ?? "")),
    json(call.arguments ?? ""),
    h("h3", null, "Output"),
    call.output === null || call.output === undefined
      ? h("p.faint", null, "Not answered yet.")
      : json(call.output),
  );
}

/** @param {string} text shown as a tree if it is JSON */
function json(text) {
  try {
    const value = JSON.parse(text);
    if (value !== null && typeof value === "object") return h("div.code", null, tree(value));
  } catch {
    // Plain text it is.
  }
  return h("pre.code", { tabindex: "0" }, text);
}

/** @param {any} step */
function footer(step) {
  const usage = step.usage;
  return h(
    "div.row.step-foot",
    null,
    h("span.mono", null, step.id),
    h("span", null, `began ${dateTime(step.created_at)}`),
    usage && h("span", null, `${number(usage.prompt_tokens)} in, ${number(usage.completion_tokens)} out`),
    h("span.grow"),
    h(
      "a",
      { href: to(["explorer", "get_step"], { thread_id: step.thread_id, run_id: step.run_id, step_id: step.id }) },
      "Open in the explorer",
    ),
    h("button.quiet", { type: "button", onclick: () => dialog("Run step", tree(step), { wide: true }) }, "JSON"),
  );
}
