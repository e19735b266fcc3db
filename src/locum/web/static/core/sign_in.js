/** Which key and which server: the one dialog in which a key is typed. */

import { config, connection } from "./connection.js";
import { fill, h } from "./dom.js";
import { dialog, notice } from "./parts.js";

export function signIn() {
  const key = h("input", {
    type: "password",
    id: "key",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: connection.key ? "kept; type to replace it" : "sk-…",
  });
  const stays = h("input", { type: "checkbox", id: "stays", checked: connection.remembers === "local" });
  const base = h("input", {
    type: "text",
    id: "base",
    value: connection.base,
    list: "bases",
    spellcheck: "false",
    autocomplete: "off",
  });
  const bases = h("datalist", { id: "bases" }, h("option", { value: "/v1" }));
  const problem = h("p.problem", { role: "alert" });
  /** @param {string} given @param {string} address */
  const cookie = async (given, address) => {
    try {
      connection.use(address);
      await connection.signIn(given);
      notice("Signed in to the gateway.");
      box.close();
    } catch (error) {
      fill(problem, /** @type {Error} */ (error).message);
    }
  };
  const box = dialog(
    "Key and server",
    h(
      "form.fields",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          try {
            connection.use(base.value.trim());
          } catch (error) {
            fill(problem, /** @type {Error} */ (error).message);
            return;
          }
          if (key.value.trim()) {
            connection.remember(key.value.trim(), stays.checked ? "local" : "session");
          }
          box.close();
        },
      },
      connection.admitted === false && h("p.problem", null, connection.key ? "The server does not know this key." : "The server wants a key."),
      h("label", { for: "key" }, "API key"),
      key,
      h("p.help", null, "It stays in this browser, goes to this server only, and is never part of a link."),
      h("label.check", null, stays, "Keep it after this tab is closed"),
      h("label", { for: "base" }, "API address"),
      base,
      bases,
      h("p.help", null, "/v1 is this server. /gateway/NAME leads to an upstream that its settings name. Signing in by cookie is for a gateway: the page then keeps no key at all."),
      problem,
      h(
        "div.row",
        null,
        h("button.primary", { type: "submit" }, "Use"),
        (connection.key || connection.isSigned) &&
          h("button", { type: "button", onclick: () => connection.signOut().finally(() => box.close()) }, "Forget the key"),
        h("button", { type: "button", onclick: () => cookie(key.value.trim(), base.value.trim()) }, "Sign in by cookie"),
      ),
    ),
  );
  // Else the keyboard would be with the button that closes.
  key.focus();
  config()
    .then(({ upstreams }) => {
      for (const { name } of upstreams) bases.append(h("option", { value: `/gateway/${name}` }));
    })
    .catch(() => {});
  return box;
}
