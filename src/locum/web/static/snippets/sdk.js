/** Which call of the official clients does what an operation does. */

/**
 * The path of each call, with the path parameters that come by position. What is not here is asked for by the
 * clients' own way for paths they have no method for.
 * @type {Record<string, [string, string[]]>}
 */
export const CALLS = {
  create_assistant: ["beta.assistants.create", []],
  list_assistants: ["beta.assistants.list", []],
  get_assistant: ["beta.assistants.retrieve", ["assistant_id"]],
  modify_assistant: ["beta.assistants.update", ["assistant_id"]],
  delete_assistant: ["beta.assistants.delete", ["assistant_id"]],
  create_thread: ["beta.threads.create", []],
  get_thread: ["beta.threads.retrieve", ["thread_id"]],
  modify_thread: ["beta.threads.update", ["thread_id"]],
  delete_thread: ["beta.threads.delete", ["thread_id"]],
  create_message: ["beta.threads.messages.create", ["thread_id"]],
  list_messages: ["beta.threads.messages.list", ["thread_id"]],
  get_message: ["beta.threads.messages.retrieve", ["message_id"]],
  modify_message: ["beta.threads.messages.update", ["message_id"]],
  delete_message: ["beta.threads.messages.delete", ["message_id"]],
  create_thread_and_run: ["beta.threads.create_and_run", []],
  create_run: ["beta.threads.runs.create", ["thread_id"]],
  list_runs: ["beta.threads.runs.list", ["thread_id"]],
  get_run: ["beta.threads.runs.retrieve", ["run_id"]],
  modify_run: ["beta.threads.runs.update", ["run_id"]],
  cancel_run: ["beta.threads.runs.cancel", ["run_id"]],
  submit_tool_outputs: ["beta.threads.runs.submit_tool_outputs", ["run_id"]],
  list_steps: ["beta.threads.runs.steps.list", ["run_id"]],
  get_step: ["beta.threads.runs.steps.retrieve", ["step_id"]],
  create_vector_store: ["vector_stores.create", []],
  list_vector_stores: ["vector_stores.list", []],
  get_vector_store: ["vector_stores.retrieve", ["vector_store_id"]],
  modify_vector_store: ["vector_stores.update", ["vector_store_id"]],
  delete_vector_store: ["vector_stores.delete", ["vector_store_id"]],
  search_vector_store: ["vector_stores.search", ["vector_store_id"]],
  create_vector_store_file: ["vector_stores.files.create", ["vector_store_id"]],
  list_vector_store_files: ["vector_stores.files.list", ["vector_store_id"]],
  get_vector_store_file: ["vector_stores.files.retrieve", ["file_id"]],
  modify_vector_store_file: ["vector_stores.files.update", ["file_id"]],
  get_vector_store_file_content: ["vector_stores.files.content", ["file_id"]],
  delete_vector_store_file: ["vector_stores.files.delete", ["file_id"]],
  create_file_batch: ["vector_stores.file_batches.create", ["vector_store_id"]],
  get_file_batch: ["vector_stores.file_batches.retrieve", ["batch_id"]],
  cancel_file_batch: ["vector_stores.file_batches.cancel", ["batch_id"]],
  list_file_batch_files: ["vector_stores.file_batches.list_files", ["batch_id"]],
  create_file: ["files.create", []],
  list_files: ["files.list", []],
  get_file: ["files.retrieve", ["file_id"]],
  delete_file: ["files.delete", ["file_id"]],
  get_file_content: ["files.content", ["file_id"]],
  create_upload: ["uploads.create", []],
  create_part: ["uploads.parts.create", ["upload_id"]],
  complete_upload: ["uploads.complete", ["upload_id"]],
  cancel_upload: ["uploads.cancel", ["upload_id"]],
  list_models: ["models.list", []],
  get_model: ["models.retrieve", ["model"]],
  delete_model: ["models.delete", ["model"]],
};

/**
 * What the call of an operation has no argument for, so that it must be told beside the others.
 * @type {Record<string, string[]>}
 */
const BESIDE = {
  create_thread_and_run: ["include", "reasoning_effort"],
  list_files: ["before"],
};

/**
 * @typedef {{ call: string, positional: any[], rest: Record<string, any>,
 *   beside: { query: Record<string, any>, body: Record<string, any> } }} Call
 */

/** @param {import("./parts.js").Request} request @returns {Call | null} */
export function callOf(request) {
  const known = CALLS[request.operation.id];
  // The clients always speak the second version.
  const speaksV1 = request.beta === "v1" && request.headers.some(([name]) => name === "OpenAI-Beta");
  if (!known || speaksV1) return null;
  const [call, names] = known;
  const { query, body } = request.given;
  const path = pathOf(request);
  if (body !== undefined && (body === null || typeof body !== "object" || Array.isArray(body))) return null;
  const others = Object.entries(path).filter(([name]) => !names.includes(name));
  const asked = Object.fromEntries(Object.entries(query ?? {}).map(([name, value]) => [name.replace(/\[\]$/, ""), value]));
  const [inQuery, queryBeside] = split(request, asked);
  const [inBody, bodyBeside] = split(request, unfolded(body ?? {}));
  const rest = { ...Object.fromEntries(others), ...inQuery, ...inBody };
  // What is no plain name cannot be an argument.
  if (!Object.keys(rest).every((name) => /^[a-z][a-z0-9_]*$/.test(name))) return null;
  return { call, positional: names.map((name) => path[name]), rest, beside: { query: queryBeside, body: bodyBeside } };
}

/** What is not given yet stands as it does in the address. @param {import("./parts.js").Request} request */
function pathOf({ operation, given }) {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  return Object.fromEntries(names.map((name) => [name, given.path[name] ?? `{${name}}`]));
}

/** What are arguments, and what is told beside them. @param {import("./parts.js").Request} request @param {Record<string, any>} given */
function split(request, given) {
  const names = BESIDE[request.operation.id] ?? [];
  const isBeside = (/** @type {string} */ name) => names.includes(name);
  const all = Object.entries(given);
  return [all.filter(([name]) => !isBeside(name)), all.filter(([name]) => isBeside(name))].map((some) => Object.fromEntries(some));
}

/** Forms say `expires_after[seconds]` where clients take an object. @param {Record<string, any>} body */
function unfolded(body) {
  // Of nothing, or `__proto__[x]` would be told to every object of the page.
  /** @type {Record<string, any>} */
  const told = Object.create(null);
  for (const [name, value] of Object.entries(body)) {
    const inner = /^(\w+)\[(\w+)\]$/.exec(name);
    if (inner) told[inner[1]] = { ...told[inner[1]], [inner[2]]: value };
    else told[name] = value;
  }
  return told;
}
