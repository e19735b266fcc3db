// Files, vector stores, searches and citations, for two generations of the official client.
// It is given the client's package and the URL, and stops at the first thing that is not as it was.
import assert from "node:assert/strict";

const [packageName, baseURL] = process.argv.slice(2);
const { default: OpenAI, toFile } = await import(packageName);
const client = new OpenAI({ baseURL, apiKey: "k", maxRetries: 0, timeout: 20_000 });
const { vectorStores } = client;
const { assistants, threads } = client.beta;
// The fourth generation takes ids by position, later ones take those above as parameters.
const old = packageName.endsWith("-4");
const polled = { pollIntervalMs: 20 };
const INCLUDE = ["step_details.tool_calls[*].file_search.results[*].content"];
const FIGS = "Ann likes figs most of all.";
const PLUMS = "Bob likes plums, and the drink ERR-2041.";
const text = (name, words) => toFile(Buffer.from(words), name);

async function filled() {
  const store = await vectorStores.create({ name: "fruit" });
  const file = await vectorStores.files.uploadAndPoll(store.id, await text("figs.txt", FIGS), polled);
  assert.equal(file.status, "completed");
  assert.equal(file.usage_bytes, FIGS.length + 1024);
  const batch = await vectorStores.fileBatches.uploadAndPoll(
    store.id,
    { files: [await text("plums.txt", PLUMS), await text("empty.txt", " ")] },
    polled,
  );
  assert.equal(batch.status, "completed");
  assert.deepEqual(batch.file_counts, { in_progress: 0, completed: 1, failed: 1, cancelled: 0, total: 2 });
  const failed = [];
  for await (const one of vectorStores.files.list(store.id, { filter: "failed" })) failed.push(one);
  assert.deepEqual(failed.map((one) => one.last_error.code), ["invalid_file"]);
  return { storeId: store.id, figsId: file.id };
}

async function searches({ storeId, figsId }) {
  const page = await vectorStores.search(storeId, { query: "Who likes ERR-2041?", max_num_results: 1 });
  assert.deepEqual(page.data.map((one) => one.filename), ["plums.txt"]);
  assert.deepEqual(page.data[0].content, [{ type: "text", text: PLUMS }]);
  assert.ok(page.data[0].score > 0 && page.data[0].score <= 1);
  const attributes = { fruit: "fig", year: 2024, dried: true };
  const updated = await (old
    ? vectorStores.files.update(storeId, figsId, { attributes })
    : vectorStores.files.update(figsId, { vector_store_id: storeId, attributes }));
  assert.deepEqual(updated.attributes, attributes);
  const passing = [
    { type: "eq", key: "fruit", value: "fig" },
    { type: "gte", key: "year", value: 2024 },
    { type: "and", filters: [
      { type: "ne", key: "fruit", value: "plum" },
      { type: "or", filters: [{ type: "eq", key: "dried", value: true }, { type: "lt", key: "year", value: 2000 }] },
    ] },
  ];
  for (const filters of passing) {
    const found = [];
    for await (const one of vectorStores.search(storeId, { query: "likes", filters })) found.push(one);
    assert.deepEqual(found.map((one) => one.filename), ["figs.txt"]);
    assert.deepEqual(found[0].attributes, attributes);
  }
  await assert.rejects(
    vectorStores.search(storeId, { query: "likes", filters: { type: "like", key: "a", value: 1 } }),
    (error) => error.status === 400 && error.param === "filters.type",
  );
  const contents = [];
  const listed = old
    ? vectorStores.files.content(storeId, figsId)
    : vectorStores.files.content(figsId, { vector_store_id: storeId });
  for await (const one of listed) contents.push(one.text);
  assert.deepEqual(contents, [FIGS]);
}

async function cites({ storeId, figsId }) {
  const assistant = await assistants.create({
    model: "scripted",
    tools: [{ type: "file_search", file_search: { max_num_results: 2 } }],
    tool_resources: { file_search: { vector_store_ids: [storeId] } },
  });
  const thread = await threads.create({
    messages: [{ role: "user", content: "!search who likes figs\n!then\n!say 👩‍🚀日本 {marker}." }],
  });
  const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id, include: INCLUDE });
  const deltas = [];
  const streamed = [];
  stream.on("event", ({ event, data }) => {
    if (event === "thread.message.delta") deltas.push(...structuredClone(data.delta.content));
    if (event === "thread.run.step.completed") streamed.push(structuredClone(data));
  });
  const run = await stream.finalRun();
  assert.equal(run.status, "completed");
  const [message] = await stream.finalMessages();
  const marker = "【0:0†figs.txt】";
  const told = deltas.filter((part) => part.text.annotations?.length);
  assert.deepEqual(told.map((part) => part.text.value), [marker]);
  const { value, annotations } = message.content[0].text;
  assert.equal(value, `👩‍🚀日本 ${marker}.`);
  assert.equal(annotations[0].file_citation.file_id, figsId);
  // Indexes count code points, as the original's do; JavaScript counts pairs of them twice.
  const { start_index: start, end_index: end } = annotations[0];
  assert.equal([...value].slice(start, end).join(""), marker);
  const contentsOf = (step) =>
    step.step_details.tool_calls[0].file_search.results.map((one) => one.content?.[0].text);
  assert.equal(contentsOf(streamed[0])[0], FIGS);
  const list = (query) =>
    old
      ? threads.runs.steps.list(thread.id, run.id, query)
      : threads.runs.steps.list(run.id, { thread_id: thread.id, ...query });
  const plain = (await list({ order: "asc" })).data[0];
  assert.deepEqual(contentsOf(plain), [undefined, undefined]);
  const full = (await list({ order: "asc", include: INCLUDE })).data[0];
  assert.deepEqual(contentsOf(full), [FIGS, PLUMS]);
  const retrieved = await (old
    ? threads.runs.steps.retrieve(thread.id, run.id, full.id, { include: INCLUDE })
    : threads.runs.steps.retrieve(full.id, { thread_id: thread.id, run_id: run.id, include: INCLUDE }));
  const [best] = retrieved.step_details.tool_calls[0].file_search.results;
  assert.deepEqual([best.file_id, best.content[0].text], [figsId, FIGS]);
}

async function attaches() {
  const file = await client.files.create({ file: await text("plums.txt", PLUMS), purpose: "assistants" });
  const assistant = await assistants.create({ model: "scripted", tools: [{ type: "file_search" }] });
  const run = await threads.createAndRunPoll(
    {
      assistant_id: assistant.id,
      thread: {
        messages: [{
          role: "user",
          content: "!search plums\n!then\n!say {marker}",
          attachments: [{ file_id: file.id, tools: [{ type: "file_search" }] }],
        }],
      },
    },
    polled,
  );
  assert.equal(run.status, "completed");
  const [message] = (await threads.messages.list(run.thread_id, { run_id: run.id })).data;
  assert.equal(message.content[0].text.annotations[0].file_citation.file_id, file.id);
}

const shelf = await filled();
for (const part of [searches, cites, attaches]) await part(shelf);
console.log("well");
