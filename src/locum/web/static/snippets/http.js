/** The bytes of HTTP/1.1 themselves. */

import { BOUNDARY, headOf, jsonOf, KEY, partsOf } from "./parts.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const url = new URL(request.url);
  const json = jsonOf(request);
  const parts = partsOf(request);
  const lines = [
    `${request.method} ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    `Authorization: Bearer $${KEY}`,
    ...request.headers.map(([name, value]) => `${name}: ${value}`),
  ];
  if (request.stream) lines.push("Accept: text/event-stream");
  if (json !== null) lines.push(`Content-Length: ${new TextEncoder().encode(json).length}`);
  if (parts) lines.push(`Content-Type: multipart/form-data; boundary=${BOUNDARY}`);
  lines.push("Connection: close", "", json ?? "");
  const head = lines.join("\r\n");
  if (!parts) return head;
  const shown = parts.map((part) => `${headOf(part)}${part.file === undefined ? part.value : `< ${part.file}`}\r\n`);
  return `${head}${shown.join("")}--${BOUNDARY}--\r\n`;
}
