/** The playground: talk to an assistant, answer its functions by hand, give it files, stop it. */

import { config, connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { follow } from "../core/events.js";
import { shortId } from "../core/format.js";
import { badge, empty, failure, loading, notice } from "../core/parts.js";
import { say, to } from "../core/router.js";
import { Conversation, messagesOf } from "../timeline/messages.js";
import { Pictures } from "../timeline/pictures.js";
import { priceOf } from "../timeline/reckoning.js";
import { isOver, RunState } from "../timeline/run_state.js";
import { errorBox } from "../timeline/step_details.js";
import { StepRow } from "../timeline/step_row.js";
import { answerForm } from "./answers.js";
import { Attachments } from "./attachments.js";

const CHOSEN = "locum.assistant";
/** What was typed and not yet said: the room is drawn anew with another key, and when the page is loaded again. */
const DRAFT = "locum.draft";
/** Whoever is no farther from the end of the conversation reads on as it grows. */
const NEAR_PX = 80;

/** @param {HTMLElement} place @param {import("../core/router.js").Place} at @param {AbortSignal} signal */
export async function show(place, at, signal) {
  fill(place, loading("Opening the playground"));
  try {
    const assistants = await connection.all("/assistants", [], undefined, { signal, most: 200 });
    const told = await config().catch(() => ({ prices: {}, currency: "" }));
    if (signal.aborted) return;
    if (!assistants.data.length) {
      fill(place, h("div.head", null, h("h1", null, "Playground")), noAssistant());
      return;
    }
    await new Playground(place, assistants, told, at.path, signal).start();
  } catch (error) {
    if (!signal.aborted) fill(place, failure(error, () => show(place, at, signal)));
  }
}

function noAssistant() {
  return empty(
    "No assistant to talk to yet",
    "An assistant is a model with instructions and tools.",
    h("a.button", { href: to(["manage", "assistants", "new"]) }, icon("plus"), "Create one"),
  );
}

function hint() {
  return h(
    "div.hint",
    null,
    h("p", null, "Each message makes a run of the chosen assistant. Its steps show beside it, and stay in the timeline."),
    h("p", null, "Against the scripted model, ", h("code", null, "!python print(6 * 7)"), " runs code and ", h("code", null, "!call get_weather {}"), " asks you for an answer."),
  );
}

class Playground {
  /** @param {HTMLElement} place @param {{ data: any[], has_more: boolean }} assistants @param {any} told @param {string[]} path @param {AbortSignal} signal */
  constructor(place, assistants, told, path, signal) {
    this.place = place;
    this.assistants = assistants;
    this.told = told;
    this.threadId = path[0];
    this.runId = path[1];
    this.signal = signal;
    this.state = /** @type {RunState | null} */ (null);
    /** Whether something was said whose run could not be made. */
    this.unanswered = false;
    this.following = new AbortController();
    signal.addEventListener("abort", () => this.following.abort());
    this.pictures = new Pictures(signal);
    this.conversation = new Conversation({ pictures: this.pictures, cited: (/** @type {any} */ mark) => this.#cited(mark) });
    this.status = h("div.row");
    this.steps = h("ol.steps");
    this.action = h("div");
    this.attachments = new Attachments();
    const kept = localStorage.getItem(CHOSEN);
    this.assistant = h(
      "select",
      { "aria-label": "Assistant", onchange: () => localStorage.setItem(CHOSEN, this.assistant.value) },
      assistants.data.map((one) => h("option", { value: one.id, selected: one.id === kept }, one.name || shortId(one.id), ` · ${one.model}`)),
      assistants.has_more && h("option", { disabled: true }, "… and older ones"),
    );
    this.text = h("textarea", {
      rows: 2,
      "aria-label": "Message",
      placeholder: "Say something. Enter sends, Shift and Enter begins a line.",
      value: sessionStorage.getItem(this.#draft()) ?? "",
      oninput: () => sessionStorage.setItem(this.#draft(), this.text.value),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.#send();
        }
      },
    });
    this.sendButton = h("button.primary", { type: "submit" }, icon("send"), "Send");
    this.stopButton = h("button.danger", { type: "button", hidden: true, onclick: () => this.#cancel() }, icon("stop"), "Cancel the run");
  }

  async start() {
    this.#frame();
    if (!this.threadId) {
      this.conversation.element.append(hint());
      return;
    }
    const path = `/threads/${encodeURIComponent(this.threadId)}`;
    const messages = await messagesOf(this.threadId, null, this.signal);
    this.conversation.begin(messages.others);
    for (const message of messages.data) this.conversation.put(message);
    this.#down();
    const { data } = await connection.json(`${path}/runs`, { query: [["limit", "1"]], signal: this.signal });
    const run = this.runId ? await connection.json(`${path}/runs/${encodeURIComponent(this.runId)}`) : data[0];
    if (run) await this.#watch(run);
  }

  #frame() {
    const link = h("a.button", { href: to(["timeline"]), hidden: true }, icon("timeline"), "Timeline");
    this.link = link;
    this.form = this.#form();
    this.chat = h("section.chat", { "aria-label": "Conversation" }, this.conversation.element, this.action, this.form);
    fill(
      this.place,
      h(
        "div.head",
        null,
        h("h1", null, "Playground"),
        h("div.pick", null, this.assistant),
        h("span.grow"),
        link,
        h("a.button", { href: to(["playground"]), onclick: () => this.threadId && location.reload() }, icon("plus"), "New thread"),
      ),
      h(
        "div.play",
        null,
        this.chat,
        h("section.card.ledger.doing", { "aria-label": "What the run does" }, h("h2.offscreen", null, "Steps"), h("div.pad", null, this.status), this.steps),
      ),
    );
    this.#drawRun();
    this.text.focus();
  }

  #form() {
    return h(
      "form.compose.card",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#send();
        },
      },
      this.text,
      h("div.row", null, this.attachments.element, h("span.grow"), this.stopButton, this.sendButton),
    );
  }

  async #send() {
    const text = this.text.value.trim();
    if ((!text && !this.unanswered) || this.sendButton.disabled) return;
    if (this.attachments.coming) {
      notice("A file is not uploaded yet. Send when it is.");
      return;
    }
    this.sendButton.disabled = true;
    try {
      if (text) await this.#say(text);
      const path = `/threads/${encodeURIComponent(/** @type {string} */ (this.threadId))}/runs`;
      const run = await connection.json(path, { method: "POST", body: { assistant_id: this.assistant.value } });
      this.unanswered = false;
      await this.#watch(run);
    } catch (error) {
      const more = this.unanswered ? " Send again for an answer to what was said." : "";
      notice(/** @type {Error} */ (error).message + more, { kind: "bad", ms: 7000 });
    } finally {
      this.sendButton.disabled = false;
    }
  }

  /** Under what name what was typed is kept: it is said in one conversation. */
  #draft() {
    return this.threadId ? `${DRAFT}.${this.threadId}` : DRAFT;
  }

  /** @param {string} text */
  async #say(text) {
    const draft = this.#draft();
    if (!this.threadId) {
      const thread = await connection.json("/threads", { method: "POST", body: {} });
      this.threadId = thread.id;
      this.conversation.clear();
      say(to(["playground", thread.id]));
    }
    const path = `/threads/${encodeURIComponent(/** @type {string} */ (this.threadId))}/messages`;
    const attachments = this.attachments.given();
    const body = { role: "user", content: text, ...(attachments.length ? { attachments } : {}) };
    this.conversation.put(await connection.json(path, { method: "POST", body }));
    this.attachments.drop(attachments);
    this.unanswered = true;
    this.text.value = "";
    sessionStorage.removeItem(draft);
    this.#down();
  }

  /** Follow a run to its end, or to where it waits for us. @param {any} run */
  async #watch(run) {
    this.following.abort();
    this.following = new AbortController();
    const { signal } = this.following;
    this.signal.addEventListener("abort", () => this.following.abort());
    const state = new RunState(run);
    this.state = state;
    const path = `/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}`;
    this.rows = new Map();
    fill(this.steps);
    this.#drawRun();
    if (isOver(run.status)) {
      state.addSteps((await connection.all(`${path}/steps`, [["order", "asc"]], undefined, { signal })).data);
      this.#drawSteps();
      return;
    }
    await follow(run.thread_id, run.id, {
      signal,
      onFrame: (frame) => {
        const change = state.apply(frame);
        if (change?.kind === "message") {
          const isNear = this.#below() < NEAR_PX;
          this.conversation.put(state.messages.get(change.id));
          if (isNear) this.#down();
        }
        if (change?.kind === "step") this.#drawSteps();
        if (change?.kind === "run") this.#drawRun();
      },
    });
    if (signal.aborted) return;
    state.run = await connection.json(path, { signal });
    this.#drawRun();
  }

  #drawSteps() {
    const { state } = this;
    if (!state) return;
    const context = {
      price: priceOf(state.run.model, this.told.prices),
      currency: this.told.currency,
      run: state.run,
      words: () => [],
      message: (/** @type {string} */ id) => state.messages.get(id),
      pictures: this.pictures,
    };
    for (const step of state.steps.values()) {
      const row = this.rows?.get(step.id);
      if (row) {
        row.update(step);
        continue;
      }
      const fresh = new StepRow(step, this.rows?.size ?? 0, context);
      this.rows?.set(step.id, fresh);
      this.steps.append(fresh.element);
    }
  }

  #drawRun() {
    const run = this.state?.run;
    const isGoing = Boolean(run && !isOver(run.status));
    this.stopButton.hidden = !isGoing;
    this.stopButton.disabled = run?.status === "cancelling";
    this.sendButton.hidden = isGoing;
    if (!run) {
      fill(this.status, h("p.faint", null, "The steps of the run show here as they happen."));
      return;
    }
    if (this.link) {
      this.link.hidden = false;
      this.link.href = to(["timeline", run.thread_id, run.id]);
    }
    fill(this.status, badge(run.status), h("span.mono.faint", null, shortId(run.id)), run.last_error && errorBox(run.last_error));
    fill(this.action, run.status === "requires_action" && run.required_action && answerForm(run, (answered) => this.#watch(answered)));
    if (run.status === "requires_action") {
      this.action.querySelector("textarea")?.focus({ preventScroll: true });
      this.#down();
    }
  }

  async #cancel() {
    const run = this.state?.run;
    if (!run) return;
    const path = `/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}`;
    this.stopButton.disabled = true;
    try {
      const cancelled = await connection.json(`${path}/cancel`, { method: "POST" });
      if (run.status === "requires_action") await this.#watch(cancelled);
    } catch (error) {
      this.stopButton.disabled = false;
      notice(/** @type {Error} */ (error).message, { kind: "bad" });
    }
  }

  /** @param {any} mark */
  #cited(mark) {
    const found = [...(this.state?.steps.values() ?? [])]
      .flatMap((step) => step.step_details.tool_calls ?? [])
      .flatMap((call) => call.file_search?.results ?? [])
      .find((result) => result.file_id === mark.file_citation?.file_id);
    return found ? { result: found, words: [] } : null;
  }

  /** How much of the conversation is below the screen; the form that keeps to its edge says where that is. */
  #below() {
    if (!this.chat || !this.form) return 0;
    return this.chat.getBoundingClientRect().bottom + parseFloat(getComputedStyle(this.form).bottom) - innerHeight;
  }

  /** To the end of the conversation, never up to it. */
  #down() {
    scrollBy(0, Math.max(this.#below(), 0));
  }
}
