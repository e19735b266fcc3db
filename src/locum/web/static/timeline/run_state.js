/** A run as its rows and its events tell it: both say the same, so either may come first. */

/** @typedef {import("../core/events.js").Frame} Frame */
/** @typedef {{ kind: "run" | "step" | "message", id: string } | null} Change */

const ENDED = new Set(["completed", "failed", "cancelled", "expired", "incomplete"]);

/** @param {string} status */
export function isOver(status) {
  return ENDED.has(status);
}

export class RunState {
  /** @param {any} run */
  constructor(run) {
    this.run = run;
    /** @type {Map<string, any>} in the order in which they began */
    this.steps = new Map();
    /** @type {Map<string, any>} */
    this.messages = new Map();
  }

  /** @param {any[]} steps as a list tells them */
  addSteps(steps) {
    for (const step of steps) this.steps.set(step.id, step);
  }

  /** @param {any[]} messages */
  addMessages(messages) {
    for (const message of messages) this.messages.set(message.id, message);
  }

  /** What an event changes. A replay begins with what we may know already. @param {Frame} frame @returns {Change} */
  apply(frame) {
    const { event } = frame;
    const data = JSON.parse(frame.data);
    if (event.startsWith("thread.run.step.")) return this.#fold("step", this.steps, event, data);
    if (event.startsWith("thread.message.")) return this.#fold("message", this.messages, event, data);
    if (event.startsWith("thread.run.")) {
      if (isOver(this.run.status)) return null;
      this.run = data;
      return { kind: "run", id: data.id };
    }
    return null;
  }

  /** @param {"step" | "message"} kind @param {Map<string, any>} known @param {string} event @param {any} data @returns {Change} */
  #fold(kind, known, event, data) {
    const old = known.get(data.id);
    const isFinal = old && old.status !== "in_progress";
    if (isFinal && !(kind === "step" && isOver(data.status ?? ""))) return null;
    if (event.endsWith(".delta")) {
      if (!old) return null;
      const copy = structuredClone(old);
      merge(kind === "step" ? copy.step_details : copy, kind === "step" ? data.delta.step_details : data.delta);
      known.set(data.id, copy);
    } else if (kind === "step" && old) {
      known.set(data.id, withContent(data, old));
    } else {
      known.set(data.id, data);
    }
    return { kind, id: data.id };
  }
}

/** Passages keep the text we have of them: a stream tells it only to whom the run was made for. @param {any} step @param {any} old */
function withContent(step, old) {
  const calls = step.step_details.tool_calls ?? [];
  calls.forEach((/** @type {any} */ call, /** @type {number} */ at) => {
    const before = old.step_details.tool_calls?.[at]?.file_search?.results;
    call.file_search?.results?.forEach((/** @type {any} */ result, /** @type {number} */ n) => {
      if (!result.content && before?.[n]?.content) result.content = before[n].content;
    });
  });
  return step;
}

/** Strings are added, lists go by index: how every client folds deltas. @param {any} into @param {any} delta */
export function merge(into, delta) {
  for (const [key, value] of Object.entries(delta)) {
    // What every object has is no field of one, and would be changed for all of them.
    if (key in Object.prototype) continue;
    if (key === "index" || key === "type" || key === "id" || key === "role") into[key] ??= value;
    else if (Array.isArray(value)) mergeList((into[key] ??= []), value);
    else if (value !== null && typeof value === "object") merge((into[key] ??= {}), value);
    else if (typeof value === "string" && typeof into[key] === "string") into[key] += value;
    else if (value !== null || into[key] === undefined) into[key] = value;
  }
}

/** @param {any[]} list @param {any[]} deltas */
function mergeList(list, deltas) {
  for (const delta of deltas) {
    if (delta === null || typeof delta !== "object" || delta.index === undefined) list.push(delta);
    else merge((list[delta.index] ??= {}), delta);
  }
}
