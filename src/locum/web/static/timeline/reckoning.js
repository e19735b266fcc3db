/** What a run took: time, tokens and money, reckoned from what the API tells. */

import { isOver } from "./run_state.js";

/** @param {any} thing a run or a step @returns {number | null} */
export function endOf(thing) {
  return thing.completed_at ?? thing.failed_at ?? thing.cancelled_at ?? thing.expired_at ?? null;
}

/** When a run ended; an incomplete one, and an expired one, says so by its last step only. @param {any} run @param {any[]} steps */
export function runEnd(run, steps) {
  const end = endOf(run);
  if (end !== null || !isOver(run.status)) return end;
  return Math.max(run.started_at ?? run.created_at, ...steps.map((step) => endOf(step) ?? step.created_at));
}

/**
 * @typedef {{ start: number, end: number, wait: number }} Span seconds since the run was made; `wait`
 *   is how long nothing was heard of the model before
 */

/** Each step on the axis of its run. @param {any} run @param {any[]} steps @param {number} now unix seconds */
export function spans(run, steps, now) {
  const zero = run.created_at;
  const over = runEnd(run, steps);
  const end = Math.max((over ?? now) - zero, 0);
  let before = Math.max((run.started_at ?? run.created_at) - zero, 0);
  /** @type {Map<string, Span>} */
  const told = new Map();
  for (const step of steps) {
    const start = Math.max(step.created_at - zero, 0);
    const stop = Math.max((endOf(step) ?? over ?? now) - zero, start);
    told.set(step.id, { start, end: stop, wait: Math.max(start - before, 0) });
    before = Math.max(before, stop);
  }
  return { queue: Math.max((run.started_at ?? over ?? now) - zero, 0), end, steps: told };
}

/** Where the time of a run went. @param {any} run @param {any[]} steps @param {number} now */
export function timeSpent(run, steps, now) {
  const told = spans(run, steps, now);
  let model = 0;
  let tools = 0;
  for (const step of steps) {
    const span = /** @type {Span} */ (told.steps.get(step.id));
    model += span.wait;
    if (step.type === "tool_calls") tools += span.end - span.start;
    else model += span.end - span.start;
  }
  return { total: told.end, queue: told.queue, model, tools };
}

/** What a model costs, by its name or the longest beginning of it. @param {string} model @param {Record<string, any>} prices */
export function priceOf(model, prices) {
  if (Object.hasOwn(prices, model)) return prices[model];
  const begun = Object.keys(prices)
    .filter((name) => model.startsWith(name))
    .sort((one, other) => other.length - one.length);
  return begun.length ? prices[begun[0]] : (prices["*"] ?? null);
}

/** @param {any} usage @param {any} price per million tokens @returns {number | null} */
export function cost(usage, price) {
  if (!usage || !price) return null;
  const details = usage.prompt_token_details ?? usage.prompt_tokens_details ?? {};
  const cached = details.cached_tokens ?? 0;
  const fresh = usage.prompt_tokens - cached;
  const sum =
    fresh * price.input + cached * (price.cached ?? price.input) + usage.completion_tokens * price.output;
  return sum / 1e6;
}

/**
 * The kind that colours and names a step.
 * @param {any} step @param {any} run @returns {string}
 */
export function kindOf(step, run) {
  if (step.type === "message_creation") return "message";
  const call = step.step_details.tool_calls?.[0];
  return call && mcpOf(call, run) ? "mcp" : (call?.type ?? "function");
}

/**
 * The MCP server that a call went to, and the tool of it: on the wire such a call is a function's,
 * named by the server's label, two underscores and the tool.
 * @param {any} call @param {any} run @returns {{ label: string, url: string, tool: string } | null}
 */
export function mcpOf(call, run) {
  const name = call.function?.name ?? "";
  const tools = run?.tools ?? [];
  if (tools.some((/** @type {any} */ tool) => tool.function?.name === name)) return null;
  const server = tools.find((/** @type {any} */ tool) => tool.type === "mcp" && name.startsWith(`${tool.server_label}__`));
  if (!server) return null;
  const label = server.server_label;
  return { label, url: server.server_url, tool: name.slice(label.length + 2) };
}

/** @param {any[]} steps @param {any} run */
export function countKinds(steps, run) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const step of steps) {
    const kind = kindOf(step, run);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
