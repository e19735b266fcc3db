/** A run that waits for its functions: what it asks, and fields for what they would have said. */

import { connection } from "../core/connection.js";
import { h, icon } from "../core/dom.js";
import { notice } from "../core/parts.js";

/** @param {any} run @param {(run: any) => Promise<void>} onAnswered */
export function answerForm(run, onAnswered) {
  const calls = run.required_action.submit_tool_outputs.tool_calls;
  const fields = calls.map((/** @type {any} */ call) => h("textarea.mono", { id: `out-${call.id}`, rows: 2, placeholder: "What the function returns, as text or JSON" }));
  const button = h("button.primary", { type: "submit" }, icon("send"), "Answer");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    const path = `/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}/submit_tool_outputs`;
    const outputs = calls.map((/** @type {any} */ call, /** @type {number} */ at) => ({ tool_call_id: call.id, output: fields[at].value }));
    try {
      await onAnswered(await connection.json(path, { method: "POST", body: { tool_outputs: outputs } }));
    } catch (error) {
      notice(/** @type {Error} */ (error).message, { kind: "bad", ms: 7000 });
      button.disabled = false;
    }
  };
  return h(
    "form.answers.card.pad",
    { onsubmit: submit },
    h("h2", null, calls.length === 1 ? "The assistant calls a function" : `The assistant calls ${calls.length} functions`),
    calls.map((/** @type {any} */ call, /** @type {number} */ at) =>
      h(
        "div.field",
        null,
        h("label", { for: `out-${call.id}` }, h("code", null, `${call.function.name}(${call.function.arguments})`)),
        fields[at],
      ),
    ),
    h("div.row", null, button),
  );
}
