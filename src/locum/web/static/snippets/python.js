/** Python with requests. */

import { KEY, partsOf, text } from "./parts.js";
import { python, quoted } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const parts = partsOf(request);
  const plain = Object.fromEntries((parts ?? []).filter((part) => part.file === undefined).map((part) => [part.name, part.value]));
  const files = (parts ?? []).filter((part) => part.file !== undefined);
  const shown = files.map((part) => `${quoted(part.name)}: (${quoted(part.file ?? "")}, open(${quoted(part.file ?? "")}, "rb"))`);
  const headers = request.headers.map(([name, value]) => `        ${quoted(name)}: ${quoted(value)},`);
  return text(
    request.operation.downloads || request.stream ? "import os\n" : "import json\nimport os\n",
    "import requests\n",
    `response = requests.request(`,
    `    ${quoted(request.method)},`,
    `    ${quoted(request.base + request.path)},`,
    request.query.length > 0 && `    params=[${request.query.map(([name, value]) => `(${quoted(name)}, ${quoted(value)})`).join(", ")}],`,
    `    headers={\n        "Authorization": "Bearer " + os.environ["${KEY}"],`,
    headers.length > 0 && headers.join("\n"),
    "    },",
    request.body?.kind === "json" && `    json=${python(request.body.value, "    ")},`,
    Object.keys(plain).length > 0 && `    data=${python(plain, "    ")},`,
    files.length > 0 && `    files={${shown.join(", ")}},`,
    request.stream && "    stream=True,",
    "    timeout=600,",
    ")",
    ending(request),
  );
}

/** Lines of bytes: those of text end at U+2028 and others as well, in the middle of an event. @param {import("./parts.js").Request} request */
function ending(request) {
  if (request.stream) return "for line in response.iter_lines():\n    print(line.decode(), flush=True)";
  if (request.operation.downloads) return "print(len(response.content), \"bytes\")";
  return "print(json.dumps(response.json(), indent=2))";
}
