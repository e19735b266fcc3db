/** What several languages need of a request. */

import { json } from "./strings.js";

/** @typedef {import("../explorer/request.js").Request} Request */

export const KEY = "OPENAI_API_KEY";
export const BOUNDARY = "----locum-7MA4YWxkTrZu0gW";

/** The body as JSON, compact if nothing else is said, if it is one. @param {Request} request @param {number} [indent] */
export function jsonOf(request, indent) {
  return request.body?.kind === "json" ? json(request.body.value, indent) : null;
}

/** @param {Request} request */
export function partsOf(request) {
  return request.body?.kind === "form" && request.body.parts.length ? request.body.parts : null;
}

/** A name within the head of a part: as browsers write it. @param {string} name */
export function inHead(name) {
  return name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** The head of one part of a form, without its content. @param {{ name: string, file?: string }} part */
export function headOf(part) {
  const file = part.file === undefined ? "" : `; filename="${inHead(part.file)}"\r\nContent-Type: application/octet-stream`;
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${inHead(part.name)}"${file}\r\n\r\n`;
}

/** @param {...(string | false | null | undefined)} lines */
export function text(...lines) {
  return `${lines.filter((line) => line !== false && line !== null && line !== undefined).join("\n")}\n`;
}
