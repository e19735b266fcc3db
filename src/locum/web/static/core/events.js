/** Server-sent events over fetch: with a key in a header, and resumed where they broke off. */

import { ApiError, connection, passes } from "./connection.js";

/** @typedef {{ id: string, event: string, data: string }} Frame */

/**
 * The events of a body as they come.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<Frame>}
 */
export async function* frames(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const parts = rest.split(/\r?\n\r?\n/);
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const frame = parse(part);
        if (frame) yield frame;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {string} text @returns {Frame | null} */
function parse(text) {
  const frame = { id: "", event: "message", data: "" };
  const data = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith(":")) continue;
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "event") frame.event = value;
    else if (name === "id") frame.id = value;
  }
  if (!data.length) return null;
  frame.data = data.join("\n");
  return frame;
}

const PAUSES_MS = [250, 500, 1000, 2000, 4000, 8000];

/**
 * Follow a run until it ends or waits for its client, coming back after every break.
 * @param {string} threadId @param {string} runId
 * @param {{ signal: AbortSignal, onFrame: (frame: Frame) => void, onState?: (state: "live" | "lost" | "ended") => void, after?: string }} options
 */
export async function follow(threadId, runId, { signal, onFrame, onState, after = "" }) {
  const path = `/threads/${encodeURIComponent(threadId)}/runs/${encodeURIComponent(runId)}/events`;
  let last = after;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const headers = last ? { "last-event-id": last } : undefined;
      const answer = await connection.fetch(path, { signal, headers });
      if (!answer.ok || !answer.body) {
        throw new ApiError(answer.status, { message: "The run cannot be followed." }, null);
      }
      onState?.("live");
      for await (const frame of frames(answer.body)) {
        failures = 0;
        if (frame.event === "done") {
          onState?.("ended");
          return;
        }
        if (frame.id) last = frame.id;
        onFrame(frame);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!passes(error)) throw error;
    }
    if (signal.aborted) return;
    onState?.("lost");
    await pause(PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)], signal);
  }
}

/**
 * Ask until there is an answer, or a refusal that stays one.
 * @template T
 * @param {() => Promise<T>} ask @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export async function insist(ask, signal) {
  for (let failures = 0; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !passes(error)) throw error;
    }
    await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)], signal);
  }
}

/** @param {number} ms @param {AbortSignal} signal */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
