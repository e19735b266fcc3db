/** The timeline: threads, their runs, and what a run did. */

import { h, icon } from "../core/dom.js";
import { go, to } from "../core/router.js";
import { showCompare } from "./compare.js";
import { showRun } from "./run.js";
import { showThread, showThreads } from "./threads.js";

/** @param {HTMLElement} place @param {import("../core/router.js").Place} at @param {AbortSignal} signal */
export function show(place, at, signal) {
  const [thread, run, ...rest] = at.path;
  if (thread === "compare") return showCompare(place, at, signal);
  if (thread && run && !rest.length) return showRun(place, thread, run, signal);
  if (thread) return showThread(place, thread, signal);
  return showThreads(place, signal);
}

/** @param {...[string, string | null]} steps words and addresses, the last without one */
export function crumbs(...steps) {
  return h(
    "nav.crumbs",
    { "aria-label": "You are here" },
    steps.map(([words, address], at) => [
      at > 0 && h("span.sep", { "aria-hidden": "true" }, "/"),
      address ? h("a", { href: address }, words) : h("h1", null, words),
    ]).flat(),
  );
}

/** Opens whatever id is typed: a thread's, or a thread's and a run's. */
export function opener() {
  const field = h("input", {
    type: "text",
    "aria-label": "Open by id",
    placeholder: "thread_… or thread_…/run_…",
    data: { find: "" },
    spellcheck: "false",
  });
  return h(
    "form.row.opener",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const ids = field.value.match(/(?:thread|run)_[A-Za-z0-9_-]+/g) ?? [];
        const thread = ids.find((/** @type {string} */ id) => id.startsWith("thread_"));
        const run = ids.find((/** @type {string} */ id) => id.startsWith("run_"));
        if (thread) go(to(["timeline", thread, ...(run ? [run] : [])]));
      },
    },
    field,
    h("button", { type: "submit" }, icon("chevron"), "Open"),
  );
}
