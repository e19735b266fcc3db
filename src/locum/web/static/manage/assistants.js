/** Assistants: a list, and one as a form. */

import { connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { cut, dateTime, shortId } from "../core/format.js";
import { beyond, empty, later, notice } from "../core/parts.js";
import { go, to } from "../core/router.js";
import { attempt, deleter } from "./shelf.js";

/** @param {HTMLElement} place @param {AbortSignal} signal */
export function showAssistants(place, signal) {
  const add = h("a.button", { href: to(["manage", "assistants", "new"]) }, icon("plus"), "New assistant");
  later(place, signal, () => connection.all("/assistants", [], undefined, { signal, most: 500 }), (found) => {
    if (!found.data.length) return empty("No assistants yet", "An assistant is a model with instructions and tools.", add);
    return h("div.stack", null, h("div.row", null, add), h("ul.list.card", null, found.data.map((one) => item(one, () => showAssistants(place, signal)))), beyond(found, "list_assistants"));
  });
}

/** @param {any} one @param {() => void} again */
function item(one, again) {
  const tools = one.tools.map((/** @type {any} */ tool) => tool.function?.name ?? tool.type.replaceAll("_", " "));
  return h(
    "li.with-tool",
    null,
    h(
      "a.item",
      { href: to(["manage", "assistants", one.id]) },
      h("strong", null, one.name || shortId(one.id)),
      h("span.sub", null, [one.model, ...tools].join(" · "), one.instructions && ` · ${cut(one.instructions, 80)}`),
      h("span.end", null, dateTime(one.created_at)),
    ),
    deleter(one.name || one.id, `/assistants/${encodeURIComponent(one.id)}`, again),
  );
}

/** @param {HTMLElement} place @param {string} id @param {AbortSignal} signal */
export function showAssistant(place, id, signal) {
  const work = async () => {
    const models = connection.json("/models", { signal }).catch(() => ({ data: [] }));
    const one = id === "new" ? null : await connection.json(`/assistants/${encodeURIComponent(id)}`, { signal });
    return [one, (await models).data];
  };
  later(place, signal, work, ([one, models]) => form(one, models));
}

/** @param {any} one @param {any[]} models */
function form(one, models) {
  const has = (/** @type {string} */ type) => Boolean(one?.tools.some((/** @type {any} */ tool) => tool.type === type));
  const name = h("input", { type: "text", id: "name", value: one?.name ?? "" });
  const model = h("input", { type: "text", id: "model", value: one?.model ?? models[0]?.id ?? "", list: "models", required: true });
  const instructions = h("textarea", { id: "instructions", rows: 5, value: one?.instructions ?? "" });
  const code = h("input", { type: "checkbox", checked: has("code_interpreter") });
  const search = h("input", { type: "checkbox", checked: has("file_search") });
  const store = h("input", { type: "text", id: "store", value: storeOf(one), placeholder: "vs_…" });
  const functions = h("textarea.mono", {
    id: "functions",
    rows: 4,
    spellcheck: "false",
    placeholder: '[{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]',
    value: functionsOf(one),
  });
  const problem = h("p.problem", { role: "alert" });
  /** What is kept now: saved from here, it is not what the form began with. */
  let kept = one;
  const save = (/** @type {Event} */ event) => {
    event.preventDefault();
    attempt(async () => {
      const given = readFunctions(functions.value);
      if (!given) {
        fill(problem, "Functions are a JSON list of objects, each with a name.");
        return;
      }
      fill(problem);
      const others = (kept?.tools ?? []).filter((/** @type {any} */ tool) => !["code_interpreter", "file_search", "function"].includes(tool.type));
      const searching = (kept?.tools ?? []).find((/** @type {any} */ tool) => tool.type === "file_search");
      const body = {
        name: name.value || null,
        model: model.value,
        instructions: instructions.value || null,
        tools: [...(code.checked ? [{ type: "code_interpreter" }] : []), ...(search.checked ? [searching ?? { type: "file_search" }] : []), ...given.map((told) => ({ type: "function", function: told })), ...others],
      };
      const searched = store.value.trim();
      const moves = searched !== storeOf(kept);
      if (kept && !moves && isIn(kept, body)) {
        notice("Nothing has changed.");
        return;
      }
      const resources = moves ? { tool_resources: { file_search: { vector_store_ids: searched ? [searched] : [] } } } : {};
      kept = await connection.json(kept ? `/assistants/${encodeURIComponent(kept.id)}` : "/assistants", { method: "POST", body: { ...body, ...resources } });
      localStorage.setItem("locum.assistant", kept.id);
      notice("Saved.");
      go(to(["manage", "assistants", kept.id]));
    });
  };
  return h(
    "form.card.pad.fields.narrow",
    { onsubmit: save },
    h("div.row", null, h("h2", null, one ? one.name || shortId(one.id) : "New assistant"), one && h("span.mono.faint", null, one.id)),
    h("label", { for: "name" }, "Name"),
    name,
    h("label", { for: "model" }, "Model"),
    model,
    h("datalist", { id: "models" }, models.map((told) => h("option", { value: told.id }))),
    h("label", { for: "instructions" }, "Instructions"),
    instructions,
    h("span.group-name", null, "Tools"),
    h("label.check", null, code, "Code interpreter"),
    h("label.check", null, search, "File search"),
    h("label", { for: "store" }, "Vector store to search"),
    store,
    h("label", { for: "functions" }, "Functions"),
    functions,
    problem,
    h(
      "div.row",
      null,
      h("button.primary", { type: "submit" }, "Save"),
      h("a.button", { href: to(["manage", "assistants"]) }, "Back"),
      one && h("a.button", { href: to(["playground"]), onclick: () => localStorage.setItem("locum.assistant", one.id) }, icon("playground"), "Talk to it"),
    ),
  );
}

/** @param {any} one @returns {string} */
function storeOf(one) {
  return one?.tool_resources?.file_search?.vector_store_ids?.[0] ?? "";
}

/** Whether an assistant has all that a body says, as it says it. @param {any} one @param {Record<string, any>} body */
function isIn(one, body) {
  return Object.entries(body).every(([name, value]) => JSON.stringify(one[name]) === JSON.stringify(value));
}

/** @param {any} one */
function functionsOf(one) {
  const told = (one?.tools ?? []).filter((/** @type {any} */ tool) => tool.type === "function").map((/** @type {any} */ tool) => tool.function);
  return told.length ? JSON.stringify(told, null, 2) : "";
}

/** @param {string} text @returns {any[] | null} */
function readFunctions(text) {
  if (!text.trim()) return [];
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) && value.every((one) => typeof one?.name === "string") ? value : null;
  } catch {
    return null;
  }
}
