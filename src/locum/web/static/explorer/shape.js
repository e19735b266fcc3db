/** What a schema asks for, said in the few words that a form has fields for. */

/**
 * @typedef {{ kind: "text" | "number" | "boolean" | "choice" | "fixed" | "file" | "list" | "object" | "map" | "union" | "json",
 *   nullable: boolean, schema: any, options?: any[], items?: any, properties?: [string, any, boolean][],
 *   values?: any, variants?: { name: string, schema: any }[], value?: any, long?: boolean, integer?: boolean }} Shape
 */

const LONG = 600;

/** @param {import("./document.js").Api} api @param {any} schema @returns {Shape} */
export function shapeOf(api, schema) {
  const told = api.resolve(schema);
  const choices = told.anyOf ?? told.oneOf;
  if (choices) return ofChoices(api, told, choices);
  const types = [told.type].flat().filter(Boolean);
  const nullable = types.includes("null");
  const type = types.find((one) => one !== "null");
  const base = { nullable, schema: told };
  if ("const" in told) return { ...base, kind: "fixed", value: told.const };
  if (told.enum) return ofEnum(told, base);
  if (type === "string" && told.format === "binary") return { ...base, kind: "file" };
  if (type === "string") return { ...base, kind: "text", long: (told.maxLength ?? 0) > LONG };
  if (type === "integer" || type === "number") return { ...base, kind: "number", integer: type === "integer" };
  if (type === "boolean") return { ...base, kind: "boolean" };
  if (type === "array") return { ...base, kind: "list", items: told.items ?? {} };
  if (told.properties && Object.keys(told.properties).length) return { ...base, kind: "object", properties: properties(told) };
  if (type === "object" && isSimpleMap(api, told)) return { ...base, kind: "map", values: told.additionalProperties };
  return { ...base, kind: "json" };
}

/** @param {any} told @param {{ nullable: boolean, schema: any }} base @returns {Shape} */
function ofEnum(told, base) {
  const options = told.enum.filter((/** @type {any} */ one) => one !== null);
  const nullable = base.nullable || options.length < told.enum.length;
  if (options.length === 1 && !("default" in told)) return { ...base, nullable, kind: "fixed", value: options[0] };
  return { ...base, nullable, kind: "choice", options };
}

/** @param {import("./document.js").Api} api @param {any} told @param {any[]} choices @returns {Shape} */
function ofChoices(api, told, choices) {
  const flat = choices.flatMap((one) => api.resolve(one).anyOf ?? api.resolve(one).oneOf ?? [one]);
  const real = flat.filter((one) => api.resolve(one).type !== "null");
  const nullable = real.length < flat.length;
  if (real.length === 1) return { ...shapeOf(api, real[0]), nullable, schema: { ...api.resolve(real[0]), default: told.default } };
  const simple = real.every((one) => ["string", "number", "integer", "boolean"].includes(api.resolve(one).type));
  if (simple) return { kind: "json", nullable, schema: told };
  const variants = real.map((one) => ({ name: nameOf(api, one), schema: one }));
  return { kind: "union", nullable, schema: told, variants };
}

/** @param {import("./document.js").Api} api @param {any} schema */
function nameOf(api, schema) {
  const told = api.resolve(schema);
  const tag = told.properties?.type?.enum ?? (told.properties?.type?.const && [told.properties.type.const]);
  if (tag?.length === 1) return String(tag[0]);
  if (told.enum) return told.enum.length === 1 ? String(told.enum[0]) : "one of a few words";
  if (told.type === "array") return "list";
  if (told.type === "string") return "text";
  return told.title ?? told.type ?? "JSON";
}

/** @param {any} told @returns {[string, any, boolean][]} required ones first */
function properties(told) {
  const required = new Set(told.required ?? []);
  const all = /** @type {[string, any][]} */ (Object.entries(told.properties));
  const named = all.map(([name, schema]) => /** @type {[string, any, boolean]} */ ([name, schema, required.has(name)]));
  return [...named.filter(([, , must]) => must), ...named.filter(([, , must]) => !must)];
}

/** @param {import("./document.js").Api} api @param {any} told */
function isSimpleMap(api, told) {
  const values = told.additionalProperties;
  return values && typeof values === "object" && api.resolve(values).type === "string";
}

/** A line about what fits: limits, pattern, default. @param {Shape} shape */
export function helpOf(shape) {
  const { schema } = shape;
  const words = [];
  if (schema.minimum !== undefined && schema.maximum !== undefined) words.push(`${schema.minimum} to ${schema.maximum}`);
  else if (schema.minimum !== undefined) words.push(`${schema.minimum} or more`);
  if (schema.maxLength) words.push(`at most ${schema.maxLength.toLocaleString("en")} characters`);
  if (schema.maxItems) words.push(`at most ${schema.maxItems}`);
  if (schema.maxProperties) words.push(`at most ${schema.maxProperties} pairs`);
  const { pattern } = schema;
  if (pattern) words.push(/^\^[a-z_-]+$/.test(pattern) ? `begins with ${pattern.slice(1)}` : `fits ${pattern}`);
  const preset = schema.default;
  if (preset !== undefined && preset !== null && typeof preset !== "object") words.push(`otherwise ${preset}`);
  return [schema.description, words.join(", ")].filter(Boolean).join(" ");
}
