/** The frame of the page: rooms, the way between them, who is signed in, light and dark. */

import { connection, config, Offline } from "./core/connection.js";
import { fill, h, icon } from "./core/dom.js";
import { failure, loading } from "./core/parts.js";
import { here, to } from "./core/router.js";
import { signIn } from "./core/sign_in.js";
import { themeSwitch } from "./core/theme.js";

/** @typedef {{ show: (place: HTMLElement, at: import("./core/router.js").Place, signal: AbortSignal) => void }} Room */

/** @type {Record<string, { title: string, open: () => Promise<Room> }>} */
const ROOMS = {
  timeline: { title: "Timeline", open: () => import("./timeline/room.js") },
  explorer: { title: "Explorer", open: () => import("./explorer/room.js") },
  playground: { title: "Playground", open: () => import("./playground/room.js") },
  manage: { title: "Manage", open: () => import("./manage/room.js") },
};

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
let leaving = new AbortController();
let shown = "";

async function show() {
  const at = here();
  const name = Object.hasOwn(ROOMS, at.room) ? at.room : "timeline";
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  drawRail(name);
  document.title = `${ROOMS[name].title} · Locum`;
  if (shown !== name) fill(main, loading(ROOMS[name].title));
  shown = name;
  try {
    const room = await ROOMS[name].open().catch(unfetched);
    if (signal.aborted) return;
    main.dataset.room = name;
    room.show(main, at, signal);
  } catch (error) {
    if (!signal.aborted) fill(main, failure(error, show));
  }
}

/** A room is fetched when it is first gone to; what keeps it from coming is no fault in it. @param {unknown} error @returns {never} */
function unfetched(error) {
  throw error instanceof TypeError ? new Offline() : error;
}

/** @param {string} current */
function drawRail(current) {
  const rail = /** @type {HTMLElement} */ (document.getElementById("rail"));
  fill(
    rail,
    Object.entries(ROOMS).map(([name, { title }], at) =>
      h(
        "a",
        {
          href: to([name]),
          "aria-current": name === current ? "page" : null,
          title: `${title} (g, then ${at + 1})`,
        },
        icon(name),
        h("span", null, title),
      ),
    ),
  );
}

function drawBar() {
  const bar = /** @type {HTMLElement} */ (document.getElementById("bar"));
  const remote = connection.base !== "/v1";
  fill(
    bar,
    h("a.brand", { href: "#/" }, h("span.mark", { "aria-hidden": "true" }), "Locum"),
    h("span.where", { title: "Where requests go" }, remote ? connection.base : "this server"),
    h("span.grow"),
    themeSwitch(),
    h(
      "button.quiet.who",
      { type: "button", onclick: () => signIn() },
      icon("key"),
      h("span.offscreen", null, "Key and server:"),
      h("span", null, connection.key ? `…${connection.key.slice(-4)}` : connection.isSigned ? "cookie" : "no key"),
    ),
  );
}

/** What the server's settings give reason to warn of: told to whom it knows, so asked again after a sign-in. */
async function warn() {
  const { warnings } = await config().catch(() => ({ warnings: [] }));
  const alarm = document.getElementById("alarm");
  if (!alarm || warnings.length === 0) return;
  alarm.textContent = warnings.join(" ");
  alarm.hidden = false;
}

/** `g` and a digit go to a room; `/` to the search of the room that has one. */
function keys() {
  let waiting = false;
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (target.closest("input, textarea, select, [contenteditable], dialog")) return;
    if (waiting && /^[1-4]$/.test(event.key)) location.hash = to([Object.keys(ROOMS)[+event.key - 1]]);
    waiting = event.key === "g";
    if (event.key === "/") {
      const field = /** @type {HTMLElement | null} */ (main.querySelector("[data-find]"));
      if (field) {
        event.preventDefault();
        field.focus();
      }
    }
  });
}

addEventListener("hashchange", show);
connection.addEventListener("change", () => {
  drawBar();
  show();
  if (connection.key || connection.isSigned) warn();
});
/** Whether this is the room where an admin makes the key that is wanted elsewhere. */
function makesKeys() {
  const { room, path } = here();
  return room === "manage" && path[0] === "keys";
}

let asked = false;
connection.addEventListener("refused", () => {
  if (asked || makesKeys()) return;
  asked = true;
  signIn().addEventListener("close", () => {
    asked = false;
  });
});
/** The way past the rooms: an address of its own would lead to another room. */
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
const line = () => document.body.classList.toggle("offline", !navigator.onLine);
addEventListener("online", line);
addEventListener("offline", line);

drawBar();
keys();
show();
// What the page needs to know later; a server that wants a key says so here first.
warn();
