/**
 * Elements from code. Everything that comes from the API goes in as text: there is no way here
 * to make markup of a string, and the page's policy forbids it too.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, any>} Props */

/**
 * `h("button.primary", { onclick }, "Send")`.
 * @param {string} tag a tag name with classes behind dots
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props ?? {})) set(element, key, value);
  add(element, children);
  return element;
}

/** @param {HTMLElement} element @param {string} key @param {any} value */
function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "class") element.classList.add(...String(value).split(" ").filter(Boolean));
  else if (key === "data") Object.assign(element.dataset, value);
  else if (key === "vars") {
    for (const [name, one] of Object.entries(value)) element.style.setProperty(`--${name}`, one);
  } else if (key === "value" || key === "checked" || key === "selected" || key === "indeterminate") {
    /** @type {any} */ (element)[key] = value;
  } else element.setAttribute(key, value === true ? "" : String(value));
}

/** @param {Element} element @param {(Child | Child[])[]} children */
export function add(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** @param {Element} element @param {...(Child | Child[])} children */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Icons of our own: paths on a grid of 16. */
const ICONS = {
  timeline: "M2 3h7M4 8h9M3 13h5",
  explorer: "M6 4 2 8l4 4M10 4l4 4-4 4",
  playground: "M2 3h12v8H7l-3 3v-3H2z",
  manage: "M2 4h5v4H2zM9 4h5v4H9zM2 10h5v3H2zM9 10h5v3H9z",
  message: "M2 3h12v8H7l-3 3v-3H2z",
  code_interpreter: "M3 4l4 4-4 4M8 12h5",
  file_search: "M7 2a5 5 0 1 0 0 10A5 5 0 0 0 7 2M11 11l3 3",
  function: "M9 2C6 2 7 7 7 8s0 6-3 6M4.500 7h6",
  mcp: "M5 2v4M11 2v4M3 6h10v3a5 5 0 0 1-10 0zM8 14v1",
  key: "M10 3a3 3 0 1 0 .01 0M8 8l-5 5M5 11l2 2",
  copy: "M5 5h8v9H5zM3 11V2h8",
  download: "M8 2v8M4.500 7 8 10.500 11.500 7M3 14h10",
  link: "M7 9l3-3M6 6l1.500-1.500a2.500 2.500 0 0 1 4 4L10 10M10 10l-1.500 1.500a2.500 2.500 0 0 1-4-4L6 6",
  close: "M4 4l8 8M12 4l-8 8",
  chevron: "M6 4l4 4-4 4",
  sun: "M8 5a3 3 0 1 0 .01 0M8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  moon: "M13 10A6 6 0 0 1 6 3a5.500 5.500 0 1 0 7 7",
  auto: "M8 2a6 6 0 1 0 .01 0M8 2v12",
  stop: "M4 4h8v8H4z",
  send: "M2 8l12-5-4 11-3-5z",
  attach: "M12 7l-5 5a2.500 2.500 0 0 1-4-4l6-6a1.700 1.700 0 0 1 3 3L6 10.500",
  plus: "M8 3v10M3 8h10",
  trash: "M3 4h10M6 4V2h4v2M4.500 4l.5 10h6l.5-10",
  refresh: "M13 8a5 5 0 1 1-1.500-3.500M12 1.500v3.500H8.500",
  compare: "M5 3v10M11 3v10M2 6l3-3 3 3M8 10l3 3 3-3",
};

/** @param {string} name @returns {SVGElement} */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[/** @type {keyof typeof ICONS} */ (name)] ?? ICONS.function);
  svg.append(path);
  return svg;
}
