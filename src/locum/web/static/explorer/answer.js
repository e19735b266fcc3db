/** What came back: status, headers, time, the JSON folded, events as they arrive. */

import { connection, Offline } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { frames } from "../core/events.js";
import { bytes } from "../core/format.js";
import { copyButton, picture, save } from "../core/parts.js";
import { tree } from "../core/tree.js";
import { linker } from "./links.js";

const MOST_EVENTS = 2000;

export class Answer {
  /** @param {import("./document.js").Api} api @param {AbortSignal} signal */
  constructor(api, signal) {
    this.api = api;
    this.signal = signal;
    this.asking = new AbortController();
    signal.addEventListener("abort", () => this.asking.abort());
    this.element = h("section.answer.card", { "aria-label": "Answer", "aria-live": "polite" });
    fill(this.element, h("p.faint.pad", null, "The answer shows here. Ids in it are links to what can be done with them."));
  }

  /** @param {string} text */
  refuse(text) {
    fill(this.element, h("p.problem.pad", { role: "alert" }, text));
  }

  /** @param {import("./request.js").Request} request */
  async ask(request) {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const began = performance.now();
    fill(this.element, h("p.faint.pad", null, "Waiting …"), this.#stop());
    // On a phone the answer is far below its form.
    this.element.scrollIntoView({ block: "nearest" });
    try {
      const answer = await connection.fetch(request.path, {
        method: request.method,
        query: request.query,
        body: request.body?.kind === "json" ? request.body.value : undefined,
        form: request.body?.kind === "form" ? formOf(request.body.parts) : undefined,
        beta: request.beta,
        signal,
      });
      await this.#show(answer, request, performance.now() - began, signal);
    } catch (error) {
      if (signal.aborted) fill(this.element, h("p.faint.pad", null, "Stopped."));
      else if (error instanceof Offline) this.refuse("The server does not answer. It may have been stopped, or this machine may be offline.");
      else this.refuse(/** @type {Error} */ (error).message);
    }
  }

  #stop() {
    return h("button.stop", { type: "button", onclick: () => this.asking.abort() }, icon("stop"), "Stop");
  }

  /** @param {Response} answer @param {import("./request.js").Request} request @param {number} firstMs @param {AbortSignal} signal */
  async #show(answer, request, firstMs, signal) {
    const media = answer.headers.get("content-type") ?? "";
    const body = h("div.answer-body");
    const facts = h("span.faint", null, `${Math.round(firstMs)} ms`);
    const tools = h("span.row");
    const headers = h(
      "details.headers",
      null,
      h("summary", null, "Headers"),
      h("pre.code", { tabindex: "0" }, [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n")),
    );
    fill(
      this.element,
      h("div.answer-head", null, h("span.status", { data: { good: String(answer.ok) } }, `${answer.status} ${answer.statusText}`), facts, h("span.grow"), tools),
      headers,
      body,
    );
    this.element.scrollIntoView({ block: "nearest" });
    const link = linker(this.api, request.given.path);
    if (media.startsWith("text/event-stream")) return this.#stream(answer, body, { tools, facts, link, signal });
    if (media.includes("json")) return this.#json(await answer.text(), body, { tools, facts, firstMs, link });
    return this.#download(await answer.blob(), answer, body, { tools, facts, firstMs });
  }

  /** @param {string} text @param {Element} body @param {any} parts */
  #json(text, body, { tools, facts, firstMs, link }) {
    fill(facts, `${Math.round(firstMs)} ms · ${bytes(text.length)}`);
    fill(tools, copyButton("Copy the JSON", () => text));
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      fill(body, h("pre.code", { tabindex: "0" }, text));
      return;
    }
    fill(body, tree(value, link));
  }

  /** @param {Blob} blob @param {Response} answer @param {Element} body @param {any} parts */
  async #download(blob, answer, body, { tools, facts, firstMs }) {
    fill(facts, `${Math.round(firstMs)} ms · ${bytes(blob.size)}`);
    const name = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "file";
    fill(tools, h("button", { type: "button", onclick: () => save(name, blob) }, icon("download"), "Save"));
    const shown = await picture(blob);
    if (shown) {
      const url = URL.createObjectURL(shown);
      fill(body, h("img.shown", { src: url, alt: "The file", onload: () => URL.revokeObjectURL(url) }));
    } else {
      const text = await blob.slice(0, 20_000).text();
      const isText = !text.includes("\0") && !text.includes("\uFFFD");
      fill(body, isText ? h("pre.code", { tabindex: "0" }, text) : h("p.faint", null, "Not text, not a picture."));
    }
  }

  /** @param {Response} answer @param {Element} body @param {any} parts */
  async #stream(answer, body, { tools, facts, link, signal }) {
    const list = h("ol.events");
    const stop = this.#stop();
    fill(body, list);
    fill(tools, stop);
    const began = performance.now();
    let count = 0;
    let end = "";
    try {
      for await (const frame of frames(/** @type {any} */ (answer.body))) {
        if (signal.aborted) break;
        count += 1;
        const ms = Math.round(performance.now() - began);
        fill(facts, `${count} events · ${ms} ms`);
        if (count <= MOST_EVENTS) list.append(eventItem(frame, ms, link));
      }
    } catch (error) {
      // What came stays to be read, whatever ended it.
      end = `The stream broke off: ${/** @type {Error} */ (error).message}`;
    }
    stop.remove();
    if (count > MOST_EVENTS) list.append(h("li.faint", null, `${count - MOST_EVENTS} more events are not shown.`));
    if (signal.aborted) end = "Stopped.";
    if (end) list.append(h("li.faint", null, end));
  }
}

/** @param {import("../core/events.js").Frame} frame @param {number} ms @param {any} link */
function eventItem(frame, ms, link) {
  const box = h("details", null, h("summary", null, h("span.ms", null, `${ms}`), h("b", null, frame.event), h("span.faint", null, frame.data.slice(0, 140))));
  box.addEventListener("toggle", () => {
    if (box.childElementCount > 1) return;
    try {
      box.append(tree(JSON.parse(frame.data), link));
    } catch {
      box.append(h("pre.code", null, frame.data));
    }
  });
  return h("li", null, box);
}

/** @param {any[]} parts */
function formOf(parts) {
  const form = new FormData();
  for (const { name, value, file, blob } of parts) {
    if (blob) form.append(name, blob, file);
    else form.append(name, value);
  }
  return form;
}
