/** Small parts that every room uses: states, badges, copy buttons, dialogs, notices. */

import { ApiError, Offline } from "./connection.js";
import { fill, h, icon } from "./dom.js";
import { number } from "./format.js";
import { to } from "./router.js";

/** @param {string} text @param {any} [more] */
export function notice(text, more) {
  const board = document.getElementById("notices");
  const note = h("div.notice", { class: more?.kind ?? "" }, text);
  board?.append(note);
  setTimeout(() => note.remove(), more?.ms ?? 3500);
}

/** @param {string} label @param {() => string} text @param {string} [words] */
export function copyButton(label, text, words) {
  const button = h(
    "button.quiet",
    {
      type: "button",
      title: label,
      "aria-label": label,
      onclick: async () => {
        await copy(text());
        notice("Copied.");
      },
    },
    icon("copy"),
    words ?? null,
  );
  return button;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Where the clipboard is not for scripts, as on plain http: the old way.
    const area = h("textarea.offscreen", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** @param {string} status */
export function badge(status) {
  return h("span.badge", { data: { status } }, status.replaceAll("_", " "));
}

/** @param {string} title @param {string} text @param {...any} actions */
export function empty(title, text, ...actions) {
  return h("div.state", null, h("h2", null, title), h("p", null, text), h("div.row", null, actions));
}

/** @param {string} [what] */
export function loading(what = "Loading") {
  return h(
    "div.loading",
    { role: "status" },
    h("span.offscreen", null, `${what} …`),
    [0, 1, 2, 3].map(() => h("div.bone")),
  );
}

/** What went wrong, in words, with a way on. @param {unknown} error @param {() => void} [again] */
export function failure(error, again) {
  const retry = again && h("button", { type: "button", onclick: again }, icon("refresh"), "Try again");
  if (error instanceof Offline) {
    return h(
      "div.state.offline",
      { role: "alert" },
      h("h2", null, "The server does not answer"),
      h("p", null, "It may have been stopped, or this machine may be offline. Nothing was lost here."),
      h("div.row", null, retry),
    );
  }
  const known = error instanceof ApiError ? error : null;
  return h(
    "div.state.failed",
    { role: "alert" },
    h("h2", null, known ? `Refused with ${known.status}` : "Something went wrong in this page"),
    h("p", null, error instanceof Error ? error.message : String(error)),
    known?.requestId && h("p.faint", null, `Request ${known.requestId}`),
    h("div.row", null, retry),
  );
}

/**
 * What is said under a list that goes on beyond what is shown.
 * @param {{ data: any[], has_more: boolean }} list @param {string} operation that lists them @param {Record<string, string>} [given] what it is asked with
 */
export function beyond({ data, has_more }, operation, given = {}) {
  if (!has_more) return null;
  const next = to(["explorer", operation], { ...given, after: data.at(-1).id });
  return h("p.faint.pad.beyond", null, `There are more than these ${number(data.length)}. `, h("a", { href: next }, "Ask for the others"));
}

/**
 * Fill a place when something has been fetched; meanwhile bones, or what went wrong.
 * @template T
 * @param {Element} place @param {AbortSignal} signal @param {() => Promise<T>} work @param {(value: T) => any} show
 */
export async function later(place, signal, work, show) {
  fill(place, loading());
  try {
    const value = await work();
    if (!signal.aborted) fill(place, show(value));
  } catch (error) {
    if (!signal.aborted) fill(place, failure(error, () => later(place, signal, work, show)));
  }
}

/**
 * A click beside a dialog closes it, unless it is `firm`.
 * @param {string} title @param {any} content @param {{ wide?: boolean, firm?: boolean }} [options]
 */
export function dialog(title, content, options = {}) {
  const box = h(
    "dialog.dialog",
    {
      class: options.wide ? "wide" : "",
      "aria-label": title,
      onclose: () => box.remove(),
      onclick: (/** @type {Event} */ event) => !options.firm && event.target === box && box.close(),
    },
    h(
      "div.dialog-head",
      null,
      h("h2", null, title),
      h("button.quiet", { type: "button", "aria-label": "Close", onclick: () => box.close() }, icon("close")),
    ),
    h("div.dialog-body", null, content),
  );
  document.body.append(box);
  box.showModal();
  return box;
}

/** @param {string} name @param {Blob} blob */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const PICTURES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46]],
];

/** A picture by its own first bytes, whatever it is called; never anything that could run. @param {Blob} blob */
export async function picture(blob) {
  const head = new Uint8Array(await blob.slice(0, 4).arrayBuffer());
  const found = PICTURES.find(([, magic]) =>
    /** @type {number[]} */ (magic).every((byte, at) => head[at] === byte),
  );
  return found ? new Blob([blob], { type: String(found[0]) }) : null;
}
