/** The official Node client. */

import { KEY, partsOf, text } from "./parts.js";
import { callOf } from "./sdk.js";
import { javascript, quoted } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const found = callOf(request);
  const hasFile = partsOf(request)?.some((part) => part.file !== undefined);
  return text(
    hasFile && 'import fs from "node:fs";',
    'import OpenAI from "openai";\n',
    `const client = new OpenAI({\n    baseURL: ${quoted(request.base)},\n    apiKey: process.env.${KEY},\n});`,
    found ? known(request, found) : plain(request),
  );
}

/** @param {import("./parts.js").Request} request @param {import("./sdk.js").Call} found */
function known(request, { call, positional, rest, beside }) {
  const name = call
    .split(".")
    .map((part) => part.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()))
    .join(".");
  const given = positional.map((value) => javascript(value));
  // This client passes on whatever it is given: as the query where there is no body, else as the body.
  const isBeside = request.body !== null && Object.keys(beside.query).length > 0;
  const all = { ...rest, ...beside.body, ...(isBeside ? {} : beside.query) };
  if (isBeside || Object.keys(all).length) given.push(written(all));
  if (isBeside) given.push(javascript({ query: beside.query }));
  return ending(request, `client.${name}(${given.join(", ")})`);
}

/** @param {Record<string, any>} rest */
function written(rest) {
  if (!Object.values(rest).some((value) => value instanceof File)) return javascript(rest);
  const told = Object.entries(rest).map(([name, value]) =>
    `    ${name}: ${value instanceof File ? `fs.createReadStream(${quoted(value.name)})` : javascript(value, "    ")},`,
  );
  return `{\n${told.join("\n")}\n}`;
}

/** What the client has no method for. @param {import("./parts.js").Request} request */
function plain(request) {
  /** @type {Record<string, any>} */
  const options = {};
  const version = request.headers.filter(([name]) => name === "OpenAI-Beta");
  if (version.length) options.headers = Object.fromEntries(version);
  if (request.body?.kind === "json") options.body = request.body.value;
  if (request.stream) options.stream = true;
  const path = quoted(request.url.slice(request.base.length));
  const given = Object.keys(options).length ? `${path}, ${javascript(options)}` : path;
  const call = `client.${request.method.toLowerCase()}(${given})`;
  return ending(request, call);
}

/** @param {import("./parts.js").Request} request @param {string} call */
function ending(request, call) {
  if (request.stream) return `for await (const event of await ${call}) {\n  console.log(event.event, event.data);\n}`;
  if (request.operation.downloads) return `const content = await ${call};\nconsole.log((await content.arrayBuffer()).byteLength, "bytes");`;
  return `const answer = await ${call};\nconsole.log(JSON.stringify(answer, null, 2));`;
}
