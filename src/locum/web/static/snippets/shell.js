/** curl. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { shell } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request, 2);
  const lines = [`curl ${request.stream ? "-N " : ""}${shell(request.url)}`];
  if (request.method !== "GET" && !(request.method === "POST" && request.body)) lines.push(`-X ${request.method}`);
  // Brackets in an address are patterns to curl.
  if (/[[\]{}]/.test(request.url)) lines.push("-g");
  lines.push(`-H "Authorization: Bearer $${KEY}"`);
  for (const [name, value] of request.headers) lines.push(`-H ${shell(`${name}: ${value}`)}`);
  for (const part of partsOf(request) ?? []) lines.push(partOf(part));
  if (json !== null) lines.push(`--data-raw ${shell(json)}`);
  if (request.operation.downloads) lines.push("-o file");
  return text(lines.join(" \\\n  "));
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  if (part.file === undefined) return `--form-string ${shell(`${part.name}=${part.value}`)}`;
  return `-F ${shell(`${part.name}=@"${part.file.replace(/[\\"]/g, "\\$&")}"`)}`;
}
