/** The conversation beside the steps, with citations that open what they cite. */

import { fill, h } from "../core/dom.js";
import { dateTime } from "../core/format.js";
import { badge, beyond, dialog, save } from "../core/parts.js";
import { connection } from "../core/connection.js";
import { errorBox, image, passage } from "./step_details.js";

const MOST_MESSAGES = 1000;

/**
 * The messages of a thread in their order: the newest, however many there are, and all that its run has said;
 * and what to say of the others.
 * @param {string} threadId @param {string | null} runId @param {AbortSignal} signal
 * @returns {Promise<{ data: any[], others: Element | null }>}
 */
export async function messagesOf(threadId, runId, signal) {
  const path = `/threads/${encodeURIComponent(threadId)}/messages`;
  const order = /** @type {[string, string]} */ (["order", "desc"]);
  const newest = await connection.all(path, [order], undefined, { signal, most: MOST_MESSAGES });
  const others = beyond(newest, "list_messages", { thread_id: threadId });
  if (!runId || !newest.has_more) return { data: newest.data.reverse(), others };
  const known = new Set(newest.data.map((message) => message.id));
  const said = await connection.all(path, [order, ["run_id", runId]], undefined, { signal, most: MOST_MESSAGES });
  return { data: [...newest.data, ...said.data.filter((message) => !known.has(message.id))].reverse(), others };
}

/**
 * @typedef {{ runId?: string, cited?: (annotation: any) => { result: any, words: string[] } | null,
 *   pictures: import("./pictures.js").Pictures }} Options
 */

/** @param {any} message @param {Options} options */
export function messageBox(message, options) {
  const isOurs = options.runId && message.run_id === options.runId;
  return h(
    "article.message",
    { class: isOurs ? "ours" : "", data: { role: message.role, message: message.id } },
    h(
      "header",
      null,
      h("b", null, message.role),
      message.status && message.status !== "completed" && badge(message.status),
      h("span.faint", null, dateTime(message.created_at)),
    ),
    (message.content ?? []).map((/** @type {any} */ part) => partOf(part, options)),
    !(message.content ?? []).length && h("p.faint", null, message.status === "in_progress" ? "…" : "No content."),
    message.incomplete_details && errorBox({ code: "incomplete", message: message.incomplete_details.reason }),
    (message.attachments ?? []).length > 0 &&
      h("p.faint.files", null, "Files: ", message.attachments.map((/** @type {any} */ one) => one.file_id).join(", ")),
  );
}

/** @param {any} part @param {Options} options */
function partOf(part, options) {
  if (part.type === "text") return h("p.words", null, annotated(part.text, options));
  if (part.type === "image_file") return image(part.image_file.file_id, "Picture in the message", options.pictures);
  if (part.type === "image_url") return h("p.faint", null, `Picture at ${part.image_url.url} (not loaded: this page fetches nothing from elsewhere)`);
  if (part.type === "refusal") return h("p.words.refusal", null, part.refusal);
  return h("p.faint", null, `[${part.type}]`);
}

/** Text with its annotations as buttons. Indices count code points, as in Python. @param {any} text @param {Options} options */
function annotated(text, options) {
  const characters = [...(text?.value ?? "")];
  const marks = [...(text?.annotations ?? [])]
    .filter((mark) => mark && Number.isInteger(mark.start_index) && mark.end_index > mark.start_index)
    .sort((one, other) => one.start_index - other.start_index);
  const nodes = [];
  let at = 0;
  for (const mark of marks) {
    if (mark.start_index < at || mark.end_index > characters.length) continue;
    nodes.push(characters.slice(at, mark.start_index).join(""));
    nodes.push(annotation(mark, options));
    at = mark.end_index;
  }
  nodes.push(characters.slice(at).join(""));
  return nodes;
}

/** @param {any} mark @param {Options} options */
function annotation(mark, options) {
  if (mark.type === "file_path") {
    const fileId = mark.file_path.file_id;
    const name = mark.text.split("/").pop();
    const take = async () => save(name || fileId, await connection.file(fileId));
    return h("button.cite", { type: "button", title: `Download ${fileId}`, onclick: take }, name || fileId);
  }
  const open = () => {
    const found = options.cited?.(mark);
    const content = found
      ? passage(found.result, 0, found.words)
      : h("p", null, `The passage of ${mark.file_citation?.file_id ?? "this citation"} is not among the steps of this run.`);
    dialog("Cited passage", content, { wide: true });
  };
  return h("button.cite", { type: "button", title: "Show the passage", onclick: open }, mark.text.replace(/[【】]/g, ""));
}

/** The messages of a thread, drawn anew one by one as they change. */
export class Conversation {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.element = h("div.conversation");
    /** @type {Map<string, Element>} */
    this.drawn = new Map();
  }

  /** @param {any} message */
  put(message) {
    const box = messageBox(message, this.options);
    const old = this.drawn.get(message.id);
    if (old) old.replaceWith(box);
    else this.element.append(box);
    this.drawn.set(message.id, box);
  }

  /** @param {Element | null} others what is said of messages that are not shown */
  begin(others) {
    if (others) this.element.prepend(others);
  }

  clear() {
    fill(this.element);
    this.drawn.clear();
  }
}
