/** JavaScript with fetch, for Node.js and other runtimes that have it. */

import { KEY, partsOf, text } from "./parts.js";
import { javascript, quoted } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const parts = partsOf(request);
  const hasFile = parts?.some((part) => part.file !== undefined);
  const headers = { Authorization: "", ...Object.fromEntries(request.headers) };
  const told = Object.entries(headers)
    .map(([name, value]) => `    ${quoted(name)}: ${name === "Authorization" ? `\`Bearer \${process.env.${KEY}}\`` : quoted(value)},`)
    .join("\n");
  const json = request.body?.kind === "json" ? `  body: JSON.stringify(${javascript(request.body.value, "  ")}),` : null;
  return text(
    hasFile && 'import { readFile } from "node:fs/promises";\n',
    parts && `const form = new FormData();\n${parts.map(formLine).join("\n")}\n`,
    `const response = await fetch(${quoted(request.url)}, {`,
    request.method !== "GET" && `  method: ${quoted(request.method)},`,
    `  headers: {\n${told}\n  },`,
    json,
    parts && "  body: form,",
    "});",
    ending(request),
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function formLine(part) {
  if (part.file === undefined) return `form.append(${quoted(part.name)}, ${quoted(part.value ?? "")});`;
  const file = quoted(part.file);
  return `form.append(${quoted(part.name)}, new Blob([await readFile(${file})]), ${file});`;
}

/** @param {import("./parts.js").Request} request */
function ending(request) {
  if (request.stream) {
    return `const decoder = new TextDecoder();
for await (const chunk of response.body) {
  process.stdout.write(decoder.decode(chunk, { stream: true }));
}`;
  }
  if (request.operation.downloads) return "console.log(new Uint8Array(await response.arrayBuffer()));";
  return "console.log(JSON.stringify(await response.json(), null, 2));";
}
