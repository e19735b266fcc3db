// Every operation in every language, with words that are hard to quote. Prints JSON.
// node snippets.mjs STATIC OPENAPI BASE < what to write, or nothing for all
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [root, openapi, base] = process.argv.slice(2);
const asked = readFileSync(0, "utf8");
const load = (name) => import(pathToFileURL(`${root}/${name}`));
const { Api } = await load("explorer/document.js");
const { shapeOf } = await load("explorer/shape.js");
const { requestOf } = await load("explorer/request.js");
const { LANGUAGES } = await load("snippets/languages.js");

export const HARD = "it's \"quoted\" \\ back\\n\nline\r\ttab ünï☃😀 $HOME ${x} #{y} %s \\(z) ??= ???/ \u0085\u2028\ufeff\u202e\u2066 `tick` </script> '''\"\"\"";
const api = new Api(JSON.parse(readFileSync(openapi, "utf8")));

function sample(schema, depth = 0) {
  const shape = shapeOf(api, schema);
  switch (shape.kind) {
    case "text":
      return HARD;
    case "number":
      return shape.schema.minimum ?? 1;
    case "boolean":
      return true;
    case "choice":
      return shape.options[0];
    case "fixed":
      return shape.value;
    case "file":
      return new File(["x"], "it's a \"file\".txt");
    case "list":
      return depth > 5 ? [] : [sample(shape.items, depth + 1)];
    case "map":
      return { [HARD]: HARD };
    case "union":
      return sample(shape.variants.at(-1).schema, depth + 1);
    case "object":
      if (depth > 5) return {};
      return Object.fromEntries(shape.properties.map(([name, one]) => [name, sample(one, depth + 1)]));
    default:
      return { any: [HARD, null, 1.5, true], __proto__x: {} };
  }
}

function given(operation, isFull) {
  const told = { path: {}, query: {}, body: undefined };
  for (const one of operation.parameters) {
    if (one.in === "path") told.path[one.name] = isFull ? `id ${HARD}` : "id_1";
    else if (isFull) told.query[one.name] = sample(one.schema);
  }
  if (operation.body && isFull) told.body = sample(operation.body.schema);
  return told;
}

function* everything() {
  for (const operation of api.operations.values()) {
    for (const isFull of [true, false]) {
      const beta = operation.onlyV1 ? "v1" : "v2";
      yield requestOf(operation, given(operation, isFull), { base, beta });
    }
  }
}

function* wanted() {
  for (const { operation, beta, ...told } of JSON.parse(asked)) {
    const body = told.body === undefined ? undefined : structuredClone(told.body);
    if (body?.file) body.file = new File(["x"], body.file);
    yield requestOf(api.operations.get(operation), { path: {}, query: {}, ...told, body }, { base, beta: beta ?? "v2" });
  }
}

const out = [];
for (const request of asked ? wanted() : everything()) {
  for (const { id, generate } of LANGUAGES) {
    out.push({ operation: request.operation.id, language: id, text: generate(request) });
  }
}
process.stdout.write(JSON.stringify({ hard: HARD, snippets: out }));
