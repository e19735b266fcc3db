/** Threads, and the runs of one. */

import { connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { cut, dateTime, duration, number, shortId } from "../core/format.js";
import { badge, beyond, empty, later } from "../core/parts.js";
import { to } from "../core/router.js";
import { runEnd } from "./reckoning.js";
import { crumbs, opener } from "./room.js";

/** @param {HTMLElement} place @param {AbortSignal} signal */
export function showThreads(place, signal) {
  const body = h("div");
  fill(place, h("div.head", null, crumbs(["Timeline", null]), h("span.grow"), opener()), body);
  later(body, signal, () => page("", signal), (found) => {
    if (!found.data.length) return noThreads();
    const list = h("ul.list.card");
    const more = h("button", { type: "button" }, "More threads");
    const put = (/** @type {any} */ told) => {
      for (const thread of told.data) list.append(threadItem(thread, signal));
      more.hidden = !told.has_more;
      found = told;
    };
    more.addEventListener("click", async () => put(await page(found.data.at(-1).id, signal)));
    put(found);
    return h("div.stack", null, list, h("div.row", null, more));
  });
}

function noThreads() {
  return empty(
    "No threads yet",
    "Every conversation shows here with its runs, step by step. Begin one in the playground, or point a client at this server.",
    h("a.button", { href: to(["playground"]) }, icon("playground"), "Playground"),
    h("a.button", { href: to(["explorer", "create_thread_and_run"]) }, icon("explorer"), "Explorer"),
  );
}

/** @param {string} after @param {AbortSignal} signal */
function page(after, signal) {
  const cursor = /** @type {[string, string][]} */ (after ? [["after", after]] : []);
  return connection.json("/threads", { query: [["limit", "25"], ...cursor], signal });
}

/** @param {any} thread @param {AbortSignal} signal */
function threadItem(thread, signal) {
  const title = h("strong", null, shortId(thread.id));
  const end = h("span.end", null, dateTime(thread.created_at));
  const label = Object.entries(thread.metadata ?? {})
    .map(([key, value]) => `${key}: ${value}`)
    .join(" · ");
  const item = h(
    "li",
    null,
    h(
      "a.item",
      { href: to(["timeline", thread.id]) },
      title,
      h("span.sub", null, h("span.mono", null, thread.id), label && ` · ${cut(label, 90)}`),
      end,
    ),
  );
  whenSeen(item, signal, () => describe(thread.id, title, end, signal));
  return item;
}

/** What was asked first and how the last run went. @param {string} id @param {Element} title @param {Element} end @param {AbortSignal} signal */
async function describe(id, title, end, signal) {
  const at = `/threads/${encodeURIComponent(id)}`;
  try {
    const [messages, runs] = await Promise.all([
      connection.json(`${at}/messages`, { query: [["limit", "1"], ["order", "asc"]], signal }),
      connection.json(`${at}/runs`, { query: [["limit", "1"]], signal }),
    ]);
    const text = messages.data[0]?.content?.find((/** @type {any} */ part) => part.type === "text");
    if (text) fill(title, cut(text.text.value.split("\n")[0], 110));
    if (runs.data[0]) end.prepend(badge(runs.data[0].status));
  } catch {
    // The list says enough without; opening the thread tells what is wrong.
  }
}

/** @param {Element} element @param {AbortSignal} signal @param {() => void} work */
function whenSeen(element, signal, work) {
  const watch = new IntersectionObserver((seen) => {
    if (seen.some((entry) => entry.isIntersecting)) {
      watch.disconnect();
      work();
    }
  });
  watch.observe(element);
  signal.addEventListener("abort", () => watch.disconnect());
}

/** @param {HTMLElement} place @param {string} threadId @param {AbortSignal} signal */
export function showThread(place, threadId, signal) {
  const body = h("div");
  fill(
    place,
    h(
      "div.head",
      null,
      crumbs(["Timeline", to(["timeline"])], [shortId(threadId), null]),
      h("span.grow"),
      h("a.button", { href: to(["playground", threadId]) }, icon("playground"), "Continue in the playground"),
    ),
    body,
  );
  const path = `/threads/${encodeURIComponent(threadId)}/runs`;
  later(body, signal, () => connection.all(path, [], undefined, { signal, most: 500 }), (runs) => {
    if (!runs.data.length) {
      return empty("No runs yet", "This thread has messages at most. A run shows what an assistant does with them.");
    }
    return h("div.stack", null, h("ul.list.card", null, runs.data.map((run) => runItem(run))), beyond(runs, "list_runs", { thread_id: threadId }));
  });
}

/** @param {any} run */
function runItem(run) {
  const end = runEnd(run, []);
  const took = end === null ? "" : duration(end - run.created_at);
  const tokens = run.usage ? `${number(run.usage.total_tokens)} tokens` : "";
  return h(
    "li",
    null,
    h(
      "a.item",
      { href: to(["timeline", run.thread_id, run.id]) },
      h("strong.row", null, badge(run.status), dateTime(run.created_at)),
      h("span.sub", null, [run.model, took, tokens].filter(Boolean).join(" · "), run.last_error && ` · ${cut(run.last_error.message, 90)}`),
      h("span.end.mono", null, shortId(run.id)),
    ),
  );
}
