/** Literals: any text, said so that a compiler reads the same text back. */

/** Half a surrogate pair is no text in most languages. @param {string} text */
function whole(text) {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

/** What ends a line in some language, is refused in another, or shows what follows in another order than it runs. */
export const UNSEEN = /[\u007f\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Double quotes as JSON has them: right for JavaScript, Python, Go, C#, R and JSON. @param {string} text */
export function quoted(text) {
  return JSON.stringify(whole(text)).replace(UNSEEN, escape16);
}

/** @param {string} one */
function escape16(one) {
  return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** @param {any} value @param {number} [indent] */
export function json(value, indent) {
  return JSON.stringify(value, null, indent).replace(UNSEEN, escape16);
}

/** ASCII only, because older compilers guess how a file is encoded. @param {string} text */
export function ascii16(text) {
  return quoted(text).replace(/[^\x00-\x7f]/g, escape16);
}

/** Single quotes, in which only a quote must be left and entered again. @param {string} text */
export function shell(text) {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Single quotes of PHP and Ruby: a backslash and a quote are escaped, all else stands. @param {string} text */
export function single(text) {
  return `'${whole(text).replace(/[\\']/g, "\\$&")}'`;
}

/** @param {string} text */
export function dart(text) {
  return quoted(text).replaceAll("$", "\\$");
}

/** @param {string} text */
export function swift(text) {
  const plain = whole(text).replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
  const escape = (/** @type {string} */ one) => `\\u{${one.charCodeAt(0).toString(16)}}`;
  return `"${plain.replace(/[\x00-\x1f]/g, escape).replace(UNSEEN, escape)}"`;
}

/** Control characters in three octal digits, which nothing after them can lengthen; no trigraphs. @param {string} text */
export function c(text) {
  const plain = whole(text).replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replace(/(?<=\?)\?/g, "\\?");
  const escape = (/** @type {string} */ one) =>
    [...new TextEncoder().encode(one)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  return `"${plain.replace(/[\x00-\x1f]/g, escape).replace(UNSEEN, escape)}"`;
}

/** @param {string} text */
export function ocaml(text) {
  const plain = whole(text).replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  return `"${plain.replace(/[\x00-\x1f\x7f]/g, (one) => `\\${String(one.charCodeAt(0)).padStart(3, "0")}`)}"`;
}

/** R knows no NUL in a string. @param {string} text */
export function r(text) {
  return quoted(text.replaceAll("\0", "\ufffd"));
}

/** A value as Python writes it. @param {any} value @param {string} [indent] @returns {string} */
export function python(value, indent = "") {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return quoted(value);
  if (typeof value !== "object") return String(value);
  return nested(value, indent, python, (key) => `${quoted(key)}: `);
}

/** A value as JavaScript writes it. @param {any} value @param {string} [indent] @returns {string} */
export function javascript(value, indent = "") {
  if (value === undefined) return "undefined";
  if (typeof value === "string") return quoted(value);
  if (value === null || typeof value !== "object") return String(value);
  // A literal `__proto__` would set the prototype; computed, it is a key like any other.
  const key = (/** @type {string} */ name) =>
    name === "__proto__" ? '["__proto__"]: ' : /^[A-Za-z_$][\w$]*$/.test(name) ? `${name}: ` : `${quoted(name)}: `;
  return nested(value, indent, javascript, key);
}

/** @param {any} value @param {string} indent @param {(value: any, indent: string) => string} write @param {(name: string) => string} key @returns {string} */
function nested(value, indent, write, key) {
  const isList = Array.isArray(value);
  const [open, close] = isList ? "[]" : "{}";
  const inner = `${indent}    `;
  const items = isList
    ? value.map((one) => write(one, inner))
    : Object.entries(value).map(([name, one]) => key(name) + write(one, inner));
  if (!items.length) return open + close;
  const line = `${open}${items.join(", ")}${close}`;
  if (line.length <= 60 && !line.includes("\n")) return line;
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}
