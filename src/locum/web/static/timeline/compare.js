/** Two runs side by side: what they took, and what each did in its turn. */

import { config, connection } from "../core/connection.js";
import { fill, h } from "../core/dom.js";
import { duration, money, number, shortId } from "../core/format.js";
import { badge, empty, later } from "../core/parts.js";
import { to } from "../core/router.js";
import { messagesOf } from "./messages.js";
import { Pictures } from "./pictures.js";
import { cost, countKinds, priceOf, spans, timeSpent } from "./reckoning.js";
import { crumbs } from "./room.js";
import { stepsOf } from "./run.js";
import { kindName, StepRow } from "./step_row.js";

/** @param {HTMLElement} place @param {import("../core/router.js").Place} at @param {AbortSignal} signal */
export function showCompare(place, at, signal) {
  const ids = at.path.slice(1);
  const body = h("div");
  fill(place, h("div.head", null, crumbs(["Timeline", to(["timeline"])], ["Two runs", null])), body);
  if (ids.length !== 4) {
    fill(body, empty("Nothing to compare", "Open a run and choose Compare."));
    return;
  }
  later(body, signal, () => both(ids, signal), ([one, other, told]) => view(one, other, { ...told, pictures: new Pictures(signal) }));
}

/** @param {string[]} ids @param {AbortSignal} signal */
async function both(ids, signal) {
  const told = await config().catch(() => ({ prices: {}, currency: "" }));
  return [await whole(ids[0], ids[1], signal), await whole(ids[2], ids[3], signal), told];
}

/** @param {string} thread @param {string} run @param {AbortSignal} signal */
async function whole(thread, run, signal) {
  const path = `/threads/${encodeURIComponent(thread)}/runs/${encodeURIComponent(run)}`;
  const [found, steps, messages] = await Promise.all([
    connection.json(path, { signal }),
    stepsOf(thread, run, signal),
    messagesOf(thread, run, signal),
  ]);
  return { run: found, steps: steps.data, others: steps.others, messages: new Map(messages.data.map((message) => [message.id, message])) };
}

/** @param {any} one @param {any} other @param {any} told */
function view(one, other, told) {
  const left = facts(one, told);
  const right = facts(other, told);
  // One scale for both, or the shorter run would look as long as the other.
  const longest = Math.max(...[one, other].map((whole) => spans(whole.run, whole.steps, Date.now() / 1000).end), 1);
  const rows = left.map(([name, value], at) => {
    const differs = String(value) !== String(right[at][1]);
    return h("tr", { class: differs ? "differs" : "" }, h("th", { scope: "row" }, name), h("td", null, shown(name, value)), h("td", null, shown(name, right[at][1])));
  });
  return h(
    "div.stack",
    null,
    h(
      "div.card.scrolls",
      null,
      h(
        "table.table",
        null,
        h("thead", null, h("tr", null, h("td"), head(one.run), head(other.run))),
        h("tbody", null, rows),
      ),
    ),
    h("div.pair", null, ledger(one, told, longest), ledger(other, told, longest)),
  );
}

/** @param {any} run */
function head(run) {
  return h("th", { scope: "col" }, h("a", { href: to(["timeline", run.thread_id, run.id]) }, shortId(run.id)));
}

/** @param {any} whole @param {any} told @returns {[string, string][]} */
function facts({ run, steps }, told) {
  const spent = timeSpent(run, steps, Date.now() / 1000);
  const price = priceOf(run.model, told.prices);
  const kinds = Object.entries(countKinds(steps, run)).map(([kind, count]) => `${kindName(kind)} ${count}`);
  return [
    ["Status", run.status],
    ["Model", run.model],
    ["Total", duration(spent.total)],
    ["In the queue", duration(spent.queue)],
    ["Waiting for the model", duration(spent.model)],
    ["Tools", duration(spent.tools)],
    ["Tokens in", number(run.usage?.prompt_tokens)],
    ["Tokens out", number(run.usage?.completion_tokens)],
    ["Cost", price ? money(cost(run.usage, price), told.currency) : "—"],
    ["Steps", `${steps.length}${kinds.length ? ` (${kinds.join(", ")})` : ""}`],
    ["Temperature", String(run.temperature ?? "—")],
    ["Instructions", run.instructions ?? "—"],
    ["Error", run.last_error?.message ?? "—"],
  ];
}

/** @param {string} name @param {string} value */
function shown(name, value) {
  return name === "Status" ? badge(value) : value;
}

/** @param {any} whole @param {any} told @param {number} longest */
function ledger({ run, steps, others, messages }, told, longest) {
  const list = h("ol.steps", { "aria-label": `Steps of ${run.id}` });
  const context = {
    price: priceOf(run.model, told.prices),
    currency: told.currency,
    words: () => [],
    run,
    message: (/** @type {string} */ id) => messages.get(id),
    pictures: told.pictures,
  };
  const placed = spans(run, steps, Date.now() / 1000);
  list.style.setProperty("--total", String(longest));
  steps.forEach((/** @type {any} */ step, /** @type {number} */ at) => {
    const row = new StepRow(step, at, context);
    row.place(/** @type {any} */ (placed.steps.get(step.id)));
    list.append(row.element);
  });
  return h("section.card.ledger", null, h("h2.pad", null, shortId(run.id)), list, others);
}
