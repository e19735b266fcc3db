/** Light, dark, or as the system has it. */

import { fill, h, icon } from "./dom.js";

const NAME = "locum.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const ICON = { auto: "auto", light: "sun", dark: "moon" };

/** @typedef {"auto" | "light" | "dark"} Theme */

/** @returns {Theme} */
function current() {
  const told = localStorage.getItem(NAME);
  return told === "light" || told === "dark" ? told : "auto";
}

/** @param {Theme} theme */
function apply(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function themeSwitch() {
  const button = h("button.quiet", {
    type: "button",
    onclick: () => {
      const next = /** @type {Theme} */ (NEXT[current()]);
      localStorage.setItem(NAME, next);
      apply(next);
      draw();
    },
  });
  const draw = () => {
    fill(button, icon(ICON[current()]));
    button.title = `Colours: ${current()}`;
    button.setAttribute("aria-label", button.title);
  };
  draw();
  return button;
}

apply(current());
