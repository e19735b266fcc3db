/** One run: its steps on a time axis, its messages beside them, live while it goes. */

import { config, connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { follow, insist, pause } from "../core/events.js";
import { clockTime, dateTime, duration, money, number, shortId } from "../core/format.js";
import { badge, beyond, dialog, failure, loading, notice, save } from "../core/parts.js";
import { go, to } from "../core/router.js";
import { tree } from "../core/tree.js";
import { Conversation, messagesOf } from "./messages.js";
import { Pictures } from "./pictures.js";
import { cost, priceOf, spans, timeSpent } from "./reckoning.js";
import { crumbs } from "./room.js";
import { isOver, RunState } from "./run_state.js";
import { errorBox } from "./step_details.js";
import { StepRow } from "./step_row.js";

const INCLUDE = /** @type {[string, string]} */ ([
  "include[]",
  "step_details.tool_calls[*].file_search.results[*].content",
]);
const MOST_WORDS = 12;
const LOOK_AGAIN_MS = 1000;

/** @param {HTMLElement} place @param {string} threadId @param {string} runId @param {AbortSignal} signal */
export async function showRun(place, threadId, runId, signal) {
  fill(place, loading("Reading the run"));
  const path = `/threads/${encodeURIComponent(threadId)}/runs/${encodeURIComponent(runId)}`;
  try {
    const run = await connection.json(path, { signal });
    const told = await config().catch(() => ({ prices: {}, currency: "" }));
    if (!signal.aborted) await new RunView(place, run, told, signal).start();
  } catch (error) {
    if (!signal.aborted) fill(place, failure(error, () => showRun(place, threadId, runId, signal)));
  }
}

/**
 * The steps of a run in their order, handed over as they come; and what to say of the others.
 * @param {string} threadId @param {string} runId @param {AbortSignal} signal @param {(steps: any[]) => void} [onPage]
 * @returns {Promise<{ data: any[], others: Element | null }>}
 */
export async function stepsOf(threadId, runId, signal, onPage) {
  const path = `/threads/${encodeURIComponent(threadId)}/runs/${encodeURIComponent(runId)}/steps`;
  const found = await connection.all(path, [["order", "asc"], INCLUDE], onPage, { signal });
  return { data: found.data, others: beyond(found, "list_steps", { thread_id: threadId, run_id: runId, order: "asc" }) };
}

class RunView {
  /** @param {HTMLElement} place @param {any} run @param {any} told @param {AbortSignal} signal */
  constructor(place, run, told, signal) {
    this.place = place;
    this.signal = signal;
    this.state = new RunState(run);
    this.currency = told.currency;
    this.price = priceOf(run.model, told.prices);
    /** @type {Map<string, StepRow>} */
    this.rows = new Map();
    /** @type {Set<string>} steps and messages to be drawn at the next frame */
    this.stale = new Set();
    this.drawing = false;
    this.path = `/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}`;
    /** The id of the last event that was heard, from which a stream is taken up. */
    this.last = "";
    this.summary = h("div.stack");
    this.live = h("span");
    this.axis = h("div.axis", { "aria-hidden": "true" });
    this.list = h("ol.steps", { "aria-label": "Steps", onkeydown: arrows });
    this.none = h("p.faint.pad", null, "Reading the steps …");
    this.others = h("div");
    this.pictures = new Pictures(signal);
    this.conversation = new Conversation({
      runId: run.id,
      pictures: this.pictures,
      cited: (/** @type {any} */ mark) => this.#cited(mark),
    });
  }

  async start() {
    this.#frame();
    this.#draw();
    const { signal } = this;
    const { run } = this.state;
    const messages = messagesOf(run.thread_id, run.id, signal).then((found) => {
      this.state.addMessages(found.data);
      this.conversation.begin(found.others);
      for (const message of found.data) this.#touch(message.id);
    });
    const steps = stepsOf(run.thread_id, run.id, signal, (page) => {
      this.state.addSteps(page);
      for (const step of page) this.#touch(step.id);
    });
    const [all] = await Promise.all([steps, messages]);
    fill(this.others, all.others);
    fill(this.none, "This run has no steps yet.");
    for (const step of this.state.steps.values()) this.#touch(step.id);
    this.#draw();
    if (!isOver(this.state.run.status)) await this.#follow();
  }

  async #follow() {
    const { run } = this.state;
    let refused = false;
    const ticking = setInterval(() => this.#schedule(), 1000);
    this.signal.addEventListener("abort", () => clearInterval(ticking));
    try {
      await follow(run.thread_id, run.id, {
        signal: this.signal,
        after: this.last,
        onFrame: (frame) => {
          if (frame.id) this.last = frame.id;
          const change = this.state.apply(frame);
          if (change) this.#touch(change.id);
        },
        onState: (state) => fill(this.live, state === "live" ? badge("live") : state === "lost" && h("span.badge", null, "reconnecting")),
      });
    } catch (error) {
      refused = true;
      notice(`The run cannot be followed: ${/** @type {Error} */ (error).message}`, { kind: "bad" });
    } finally {
      clearInterval(ticking);
      if (!this.signal.aborted) await this.#settle(refused);
    }
  }

  /**
   * The rows have the last word; after a wait for the client, the run is asked for again.
   * @param {boolean} refused whether the stream was refused, and would be again
   */
  async #settle(refused) {
    const { signal } = this;
    const run = await insist(() => connection.json(this.path, { signal }), signal);
    this.state.run = run;
    const all = await insist(() => stepsOf(run.thread_id, run.id, signal), signal);
    this.state.addSteps(all.data);
    fill(this.others, all.others);
    for (const id of this.state.steps.keys()) this.#touch(id);
    this.#draw();
    if (this.state.run.status === "requires_action") await this.#awaitAnswer();
    // It was answered before we looked: it goes on, and so do we.
    else if (!refused && !isOver(this.state.run.status)) await this.#follow();
  }

  async #awaitAnswer() {
    // A run may have been answered and have asked again between two looks: what it asks tells.
    const asked = (/** @type {any} */ run) => JSON.stringify([run.status, run.required_action]);
    const before = asked(this.state.run);
    const { signal } = this;
    while (asked(this.state.run) === before) {
      await pause(LOOK_AGAIN_MS, signal);
      if (signal.aborted) return;
      this.state.run = await insist(() => connection.json(this.path, { signal }), signal);
    }
    await this.#follow();
  }

  /** @param {string} id */
  #touch(id) {
    this.stale.add(id);
    this.#schedule();
  }

  #schedule() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (!this.signal.aborted) this.#draw();
    });
  }

  #draw() {
    const { state } = this;
    const stale = this.stale;
    this.stale = new Set();
    const fresh = document.createDocumentFragment();
    for (const id of stale) {
      const message = state.messages.get(id);
      if (message) this.#putMessage(message, stale);
    }
    for (const id of stale) {
      const step = state.steps.get(id);
      if (!step) continue;
      const row = this.rows.get(id);
      if (row) row.update(step);
      else fresh.append(this.#newRow(step).element);
    }
    this.list.append(fresh);
    this.none.hidden = this.rows.size > 0;
    this.#place();
    this.#drawSummary();
  }

  /** @param {any} message @param {Set<string>} stale */
  #putMessage(message, stale) {
    this.conversation.put(message);
    for (const step of this.state.steps.values()) {
      if (step.step_details.message_creation?.message_id === message.id) stale.add(step.id);
    }
  }

  /** @param {any} step */
  #newRow(step) {
    const row = new StepRow(step, this.rows.size, {
      price: this.price,
      currency: this.currency,
      run: this.state.run,
      words: () => this.#words(),
      message: (id) => this.state.messages.get(id),
      pictures: this.pictures,
    });
    this.rows.set(step.id, row);
    return row;
  }

  #place() {
    const { run, steps } = this.state;
    const told = spans(run, [...steps.values()], Date.now() / 1000);
    const total = Math.max(told.end, 1);
    this.list.style.setProperty("--total", String(total));
    this.list.style.setProperty("--queue", String(told.queue));
    for (const [id, span] of told.steps) this.rows.get(id)?.place(span);
    this.axis.style.setProperty("--part", String(told.queue / total));
    fill(
      this.axis,
      h("div.legend", null, h("span.of-queue", null, "queue"), h("span.of-wait", null, "waiting for the model")),
      h("div.ticks", null, h("span.queued", { hidden: told.queue === 0 }), [0, 0.5, 1].map((part) => h("span", null, part === 0 ? "0" : tick(total * part)))),
      h("span.num", null, "took"),
      h("span.num.tokens", null, "tokens"),
      h("span.num.cost", null, this.price ? "cost" : ""),
    );
  }

  /** The words of the question, by which passages are marked. */
  #words() {
    const asked = [...this.state.messages.values()].filter((message) => message.role === "user");
    const text = asked.at(-1)?.content?.find((/** @type {any} */ part) => part.type === "text")?.text.value ?? "";
    const words = text.match(/[\p{L}\p{N}]{4,}/gu) ?? [];
    return /** @type {string[]} */ ([...new Set(words)].slice(0, MOST_WORDS));
  }

  /** The passage a marker like 【4:0†name】 stands for. @param {any} mark */
  #cited(mark) {
    const fileId = mark.file_citation?.file_id;
    const found = [...this.state.steps.values()]
      .flatMap((step) => step.step_details.tool_calls ?? [])
      .flatMap((call) => call.file_search?.results ?? [])
      .map((result, at) => ({ result, at }))
      .filter(({ result }) => result.file_id === fileId);
    const at = Number(/:(\d+)/.exec(mark.text)?.[1] ?? "0");
    const best = found.find((one) => one.at === at) ?? found[0];
    return best ? { result: best.result, words: this.#words() } : null;
  }

  #drawSummary() {
    const { run } = this.state;
    const steps = [...this.state.steps.values()];
    const spent = timeSpent(run, steps, Date.now() / 1000);
    const usage = run.usage ?? summed(steps);
    const facts = [
      ["Status", badge(run.status)],
      ["Model", run.model],
      ["Total", duration(spent.total)],
      ["In the queue", duration(spent.queue)],
      ["Model wait", duration(spent.model)],
      ["Tools", duration(spent.tools)],
      ["Tokens", usage ? [number(usage.total_tokens), h("small", null, `${number(usage.prompt_tokens)} in, ${number(usage.completion_tokens)} out`)] : "—"],
      ["Cost", this.price ? [money(cost(usage, this.price), ""), h("small", null, this.currency)] : [h("span.faint", null, "no price set")]],
    ];
    fill(
      this.summary,
      h("dl.facts", null, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))),
      run.last_error && errorBox(run.last_error),
      run.incomplete_details && errorBox({ code: "incomplete", message: run.incomplete_details.reason }),
      run.status === "requires_action" &&
        h("p.callout", null, "The run waits for the output of its functions. ", h("a", { href: to(["playground", run.thread_id, run.id]) }, "Answer by hand")),
    );
  }

  #frame() {
    const { run } = this.state;
    fill(
      this.place,
      h(
        "div.head",
        null,
        crumbs(["Timeline", to(["timeline"])], [shortId(run.thread_id), to(["timeline", run.thread_id])], [shortId(run.id), null]),
        this.live,
        h("span.faint.began", null, `began ${dateTime(run.created_at)}`),
        h("span.grow"),
        h("button", { type: "button", onclick: () => dialog("Run", tree(this.state.run), { wide: true }) }, "JSON"),
        h("button", { type: "button", onclick: () => this.#compare() }, icon("compare"), "Compare"),
        h("button", { type: "button", onclick: () => this.#save() }, icon("download"), "Download"),
        h("a.button", { href: to(["explorer", "list_steps"], { thread_id: run.thread_id, run_id: run.id }) }, icon("explorer"), "Explorer"),
      ),
      this.summary,
      h(
        "div.run",
        null,
        h("section.card.ledger", { "aria-label": "Steps of the run" }, h("h2.offscreen", null, "Steps"), this.axis, this.none, this.list, this.others),
        h("section.talk", { "aria-label": "Messages" }, h("h2", null, "Messages"), this.conversation.element),
      ),
    );
  }

  #save() {
    const { run, steps, messages } = this.state;
    const whole = { run, steps: [...steps.values()], messages: [...messages.values()] };
    save(`${run.id}.json`, new Blob([JSON.stringify(whole, null, 2)], { type: "application/json" }));
  }

  async #compare() {
    const { run } = this.state;
    const path = `/threads/${encodeURIComponent(run.thread_id)}/runs`;
    let others;
    try {
      const { data } = await connection.json(path, { query: [["limit", "50"]], signal: this.signal });
      others = data.filter((/** @type {any} */ other) => other.id !== run.id);
    } catch (error) {
      if (!this.signal.aborted) notice(/** @type {Error} */ (error).message, { kind: "bad" });
      return;
    }
    const field = h("input", { type: "text", id: "other", placeholder: "thread_…/run_…", spellcheck: "false" });
    const open = (/** @type {string} */ thread, /** @type {string} */ other) => {
      box.close();
      go(to(["timeline", "compare", run.thread_id, run.id, thread, other]));
    };
    const box = dialog(
      "Compare with",
      h(
        "form.fields",
        {
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            const thread = /thread_[A-Za-z0-9_-]+/.exec(field.value)?.[0] ?? run.thread_id;
            const other = /run_[A-Za-z0-9_-]+/.exec(field.value)?.[0];
            if (other) open(thread, other);
          },
        },
        others.length > 0 && h("p.help", null, "Runs of this thread"),
        others.map((/** @type {any} */ other) =>
          h("button", { type: "button", onclick: () => open(run.thread_id, other.id) }, badge(other.status), clockTime(other.created_at), h("span.mono.faint", null, shortId(other.id))),
        ),
        h("label", { for: "other" }, "Any other run"),
        field,
        h("div.row", null, h("button.primary", { type: "submit" }, "Compare")),
      ),
    );
  }
}

/** @param {number} seconds */
function tick(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Number((seconds / 60).toFixed(1))} min` : `${Number((seconds / 3600).toFixed(1))} h`;
}

/** @param {any[]} steps */
function summed(steps) {
  const counted = steps.filter((step) => step.usage);
  if (!counted.length) return null;
  const sum = (/** @type {string} */ name) => counted.reduce((all, step) => all + step.usage[name], 0);
  return {
    prompt_tokens: sum("prompt_tokens"),
    completion_tokens: sum("completion_tokens"),
    total_tokens: sum("total_tokens"),
  };
}

/** Arrow keys go from step to step. @param {KeyboardEvent} event */
function arrows(event) {
  const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const row = /** @type {HTMLElement} */ (event.target).closest(".step");
  if (!way || !row || !(/** @type {HTMLElement} */ (event.target).matches(".step-head"))) return;
  const next = /** @type {any} */ (row)[way];
  if (next) {
    event.preventDefault();
    next.querySelector(".step-head").focus();
  }
}
