/** curl. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { shell } from "./strings.js";

/** Longer ones, in characters that may take four bytes, are more than Linux takes as one argument. */
const MOST = 30_000;

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request, 2);
  const isLong = json !== null && json.length > MOST;
  const parts = partsOf(request);
  const lines = [`curl ${request.stream ? "-N " : ""}${shell(request.url)}`];
  if (request.method !== "GET" && !(request.method === "POST" && (json !== null || parts))) lines.push(`-X ${request.method}`);
  // Brackets in an address are patterns to curl.
  if (/[[\]{}]/.test(request.url)) lines.push("-g");
  lines.push(`-H "Authorization: Bearer $${KEY}"`);
  for (const [name, value] of request.headers) lines.push(`-H ${shell(`${name}: ${value}`)}`);
  for (const part of parts ?? []) lines.push(partOf(part));
  if (request.operation.downloads) lines.push("-o file");
  // No line of JSON is this word.
  if (isLong) lines.push(`--data-binary @- << 'END_OF_BODY'\n${json}\nEND_OF_BODY`);
  else if (json !== null) lines.push(`--data-raw ${shell(json)}`);
  return text(lines.join(" \\\n  "));
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  if (part.file === undefined) return `--form-string ${shell(`${part.name}=${part.value}`)}`;
  return `-F ${shell(`${part.name}=@"${part.file.replace(/[\\"]/g, "\\$&")}"`)}`;
}
