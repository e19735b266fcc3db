/** Keys of the API, for whoever has the admin key of the server. */

import { ApiError, connection } from "../core/connection.js";
import { fill, h, icon } from "../core/dom.js";
import { dateTime } from "../core/format.js";
import { badge, copyButton, dialog, empty, later, notice } from "../core/parts.js";
import { attempt, remover } from "./shelf.js";

/** Kept by this document alone, and gone with it: it opens more than any other key. */
let admin = "";

/** @param {HTMLElement} place @param {AbortSignal} signal */
export function showKeys(place, signal) {
  if (!admin) {
    fill(place, door(place, signal));
    return;
  }
  const again = () => showKeys(place, signal);
  later(place, signal, () => ask("/admin/keys", { signal }), ({ data }) =>
    h(
      "div.stack",
      null,
      creator(again),
      data.length ? h("ul.list.card", null, data.map((/** @type {any} */ key) => item(key, again))) : empty("No keys yet", "While there is none, every key is accepted. The first one closes the door for all others."),
      h("div.row", null, h("button", { type: "button", onclick: () => close(place, signal) }, "Close this room")),
    ),
  );
}

/** @param {string} url @param {import("../core/connection.js").Ask} [options] */
function ask(url, options = {}) {
  return connection.jsonAt(url, { ...options, headers: { authorization: `Bearer ${admin}` } });
}

/** @param {HTMLElement} place @param {AbortSignal} signal */
function close(place, signal) {
  admin = "";
  showKeys(place, signal);
}

/** @param {HTMLElement} place @param {AbortSignal} signal */
function door(place, signal) {
  const field = h("input", { type: "password", id: "admin", autocomplete: "off", spellcheck: "false", required: true });
  const problem = h("p.problem", { role: "alert" });
  const open = async (/** @type {Event} */ event) => {
    event.preventDefault();
    admin = field.value.trim();
    try {
      await ask("/admin/keys", { signal });
      showKeys(place, signal);
    } catch (error) {
      admin = "";
      if (!signal.aborted) fill(problem, refusal(error));
    }
  };
  return h(
    "div.card.pad.stack.narrow",
    null,
    h("h2", null, "Keys are made by an admin"),
    h(
      "form.fields",
      { onsubmit: open },
      h("label", { for: "admin" }, "Admin key"),
      field,
      h("p.help", null, "What LOCUM_ADMIN_KEY says where the server runs. It is forgotten when this page is closed or loaded anew."),
      problem,
      h("div.row", null, h("button.primary", { type: "submit" }, icon("key"), "Open")),
    ),
    h("p.soft", null, "Without it, on the machine of the server:"),
    h("pre.code", { tabindex: "0" }, "locum keys create --name laptop\nlocum keys list\nlocum keys revoke key_…"),
    h("p.soft", null, "While there is no key at all, every key is accepted, and the server listens on this machine only."),
  );
}

/** @param {unknown} error */
function refusal(error) {
  if (error instanceof ApiError && error.status === 404) return "This server has no admin key: set LOCUM_ADMIN_KEY and start it again.";
  if (error instanceof ApiError && error.status === 403) return "This is not the admin key of the server.";
  return /** @type {Error} */ (error).message;
}

/** @param {() => void} again */
function creator(again) {
  const name = h("input", { type: "text", "aria-label": "Name of the new key", placeholder: "Name of a new key", required: true });
  const project = h("input", { type: "text", "aria-label": "Project", placeholder: "Project, else the usual one", spellcheck: "false" });
  const days = h("input", { type: "number", min: 1, max: 36_500, "aria-label": "Days until it expires", placeholder: "Days, else for ever" });
  const reads = h("input", { type: "checkbox" });
  const create = (/** @type {Event} */ event) => {
    event.preventDefault();
    attempt(async () => {
      const body = {
        name: name.value.trim(),
        read_only: reads.checked,
        ...(project.value.trim() ? { project_id: project.value.trim() } : {}),
        ...(days.value ? { expires_days: days.valueAsNumber } : {}),
      };
      reveal(await ask("/admin/keys", { method: "POST", body }), again);
    });
  };
  return h(
    "form.row.creator",
    { onsubmit: create },
    h("div", null, name),
    h("div", null, project),
    h("div", null, days),
    h("label.check", null, reads, "Reads only"),
    h("button", { type: "submit" }, icon("plus"), "Create"),
  );
}

/** The one moment in which a key can be seen. @param {any} key @param {() => void} again */
function reveal(key, again) {
  const use = () => {
    connection.remember(key.value, "session");
    notice("This page uses it now.");
    box.close();
  };
  const box = dialog(
    "The new key",
    h(
      "div.stack",
      null,
      h("p", null, "It is shown this once: only its digest is kept."),
      h("pre.code", { tabindex: "0" }, key.value),
      h("div.row", null, copyButton("Copy the key", () => key.value, "Copy"), h("button", { type: "button", onclick: use }, "Use it in this page")),
    ),
    { firm: true },
  );
  box.addEventListener("close", again);
}

/** @param {any} key @param {() => void} again */
function item(key, again) {
  const state = key.revoked_at ? "revoked" : key.expires_at && key.expires_at * 1000 <= Date.now() ? "expired" : "valid";
  const facts = [key.project_id, key.read_only && "reads only", key.expires_at && `until ${dateTime(key.expires_at)}`].filter(Boolean);
  const revoke = async () => {
    await ask(`/admin/keys/${encodeURIComponent(key.id)}`, { method: "DELETE" });
    notice("Revoked.");
    again();
  };
  return h(
    "li.with-tool",
    null,
    h(
      "div.item",
      null,
      h("strong", null, key.name || key.id),
      h("span.sub", null, h("span.mono", null, key.redacted_value), ` · ${facts.join(" · ")}`),
      h("span.end", null, badge(state), dateTime(key.created_at)),
    ),
    state === "valid" && remover("Revoke", key.name || key.id, "Whoever uses this key is locked out within a second or so.", revoke),
  );
}
