/** The official Python client. */

import { KEY, text } from "./parts.js";
import { callOf } from "./sdk.js";
import { python, quoted } from "./strings.js";

/** Words that cannot name an argument. */
const RESERVED = new Set(
  "and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield".split(
    " ",
  ),
);

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const found = callOf(request);
  const isNamed = found && Object.keys(found.rest).every((name) => !RESERVED.has(name));
  return text(
    "import os\n",
    `from openai import OpenAI${request.stream && !isNamed ? ", Stream" : ""}\n`,
    `client = OpenAI(\n    base_url=${quoted(request.base)},\n    api_key=os.environ["${KEY}"],\n)`,
    found && isNamed ? known(request, found) : plain(request),
  );
}

/** @param {import("./parts.js").Request} request @param {import("./sdk.js").Call} found */
function known(request, { call, positional, rest, beside }) {
  const extras = [["extra_query", beside.query], ["extra_body", beside.body]].filter(([, one]) => Object.keys(one).length);
  const given = [
    ...positional.map((value) => python(value)),
    ...Object.entries(rest).map(([name, value]) => `${name}=${value instanceof File ? `open(${quoted(value.name)}, "rb")` : python(value, "    ")}`),
    ...extras.map(([name, one]) => `${name}=${python(one, "    ")}`),
  ];
  const line = given.join(", ");
  const wide = line.length > 48 || line.includes("\n");
  const told = wide ? `\n${given.map((one) => `    ${one},\n`).join("")}` : line;
  return ending(request, `client.${call}(${told})`);
}

/** What the client has no method for. @param {import("./parts.js").Request} request */
function plain(request) {
  const version = Object.fromEntries(request.headers.filter(([name]) => name === "OpenAI-Beta"));
  const given = [quoted(request.url.slice(request.base.length)), "cast_to=object"];
  if (request.body?.kind === "json") given.push(`body=${python(request.body.value, "    ")}`);
  if (Object.keys(version).length) given.push(`options={"headers": ${python(version)}}`);
  if (request.stream) given.push("stream=True", "stream_cls=Stream[object]");
  const call = `client.${request.method.toLowerCase()}(\n${given.map((one) => `    ${one},\n`).join("")})`;
  return request.stream ? `for event in ${call}:\n    print(event)` : `answer = ${call}\nprint(answer)`;
}

/** @param {import("./parts.js").Request} request @param {string} call */
function ending(request, call) {
  if (request.stream) return `for event in ${call}:\n    print(event.event, event.data)`;
  if (request.operation.downloads) return `content = ${call}\nprint(len(content.read()), "bytes")`;
  return `answer = ${call}\nprint(answer.model_dump_json(indent=2))`;
}
