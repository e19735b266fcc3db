// A program that changed nothing but its base URL, for two generations of the official client.
// It is given the client's package and the URL, and stops at the first thing that is not as it was.
import assert from "node:assert/strict";

const [packageName, baseURL] = process.argv.slice(2);
const { default: OpenAI } = await import(packageName);
const client = new OpenAI({ baseURL, apiKey: "k", maxRetries: 0, timeout: 20_000 });
const { assistants, threads } = client.beta;
// The fourth generation takes ids by position, later ones take those above as parameters.
const old = packageName.endsWith("-4");
const under = (threadId, runId) => (old ? [threadId, runId] : [runId, { thread_id: threadId }]);

const tools = [{ type: "function", function: { name: "f" } }];
const talk = "!say one\n!call f\n!then\n!say it is {result}";
const said = (content) => ({ messages: [{ role: "user", content }] });
const answersTo = (run) =>
  run.required_action.submit_tool_outputs.tool_calls.map((call) => ({
    tool_call_id: call.id,
    output: "42",
  }));

async function stepsOf(run) {
  const page = old
    ? threads.runs.steps.list(run.thread_id, run.id, { order: "asc", limit: 1 })
    : threads.runs.steps.list(run.id, { thread_id: run.thread_id, order: "asc", limit: 1 });
  const steps = [];
  for await (const step of page) steps.push(step);
  return steps;
}

async function streams() {
  const assistant = await assistants.create({ model: "scripted", tools });
  const thread = await threads.create(said(talk));
  const texts = [];
  const first = threads.runs.stream(thread.id, { assistant_id: assistant.id });
  first.on("textDone", (text) => texts.push(text.value));
  const waiting = await first.finalRun();
  assert.equal(waiting.status, "requires_action");
  const snapshots = await first.finalRunSteps();
  const outputs = { tool_outputs: answersTo(waiting) };
  const second = old
    ? threads.runs.submitToolOutputsStream(thread.id, waiting.id, outputs)
    : threads.runs.submitToolOutputsStream(waiting.id, { thread_id: thread.id, ...outputs });
  second.on("textDone", (text) => texts.push(text.value));
  const run = await second.finalRun();
  assert.equal(run.status, "completed");
  assert.deepEqual(texts, ["one", "it is 42"]);
  const steps = await stepsOf(run);
  assert.deepEqual(steps.map((step) => step.type), ["message_creation", "tool_calls", "message_creation"]);
  assert.deepEqual(snapshots.map((step) => step.id), steps.slice(0, 2).map((step) => step.id));
  assert.equal(steps[1].step_details.tool_calls[0].function.output, "42");
  const later = await second.finalRunSteps();
  assert.deepEqual(later.map((step) => step.id), steps.slice(1).map((step) => step.id));
  const total = steps.reduce((sum, step) => sum + step.usage.total_tokens, 0);
  assert.equal(run.usage.total_tokens, total);
  const retrieved = await threads.runs.retrieve(...under(thread.id, run.id));
  assert.equal(retrieved.status, "completed");
}

// A call without what only deltas carry.
const bare = ({ index, ...call }) => ({
  ...call,
  code_interpreter: {
    ...call.code_interpreter,
    outputs: call.code_interpreter.outputs.map(({ index, ...output }) => output),
  },
});

async function codes() {
  const assistant = await assistants.create({ model: "scripted", tools: [{ type: "code_interpreter" }] });
  const thread = await threads.create(said("!python print('né')\n6 * 7\n!then\n!say done"));
  const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
  const folded = [];
  stream.on("toolCallDone", (call) => folded.push(structuredClone(call)));
  const run = await stream.finalRun();
  assert.equal(run.status, "completed");
  const [step] = await stepsOf(run);
  assert.deepEqual(folded.map(bare), step.step_details.tool_calls.map(bare));
  assert.deepEqual(step.step_details.tool_calls[0].code_interpreter.outputs, [{ type: "logs", logs: "né\n42" }]);
}

// Tools and a function in one turn, and words after them: no step begins while another is open.
async function mixed() {
  const both = [...tools, { type: "file_search" }];
  const assistant = await assistants.create({ model: "scripted", tools: both });
  for (const script of ["!call f\n!search a\n!search b\n!say Wait.", "!call f\n!say Wait."]) {
    const thread = await threads.create(said(`${script}\n!then\n!say Done.`));
    const options = script.includes("search") ? {} : { tools };
    const first = threads.runs.stream(thread.id, { assistant_id: assistant.id, ...options });
    const waiting = await first.finalRun();
    assert.equal(waiting.status, "requires_action");
    const outputs = { tool_outputs: answersTo(waiting) };
    const second = old
      ? threads.runs.submitToolOutputsStream(thread.id, waiting.id, outputs)
      : threads.runs.submitToolOutputsStream(waiting.id, { thread_id: thread.id, ...outputs });
    assert.equal((await second.finalRun()).status, "completed");
  }
}

async function polls() {
  const assistant = await assistants.create({ model: "scripted", tools });
  const thread = await threads.create(said(talk));
  let run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
  const outputs = { tool_outputs: answersTo(run) };
  run = old
    ? await threads.runs.submitToolOutputsAndPoll(thread.id, run.id, outputs)
    : await threads.runs.submitToolOutputsAndPoll(run.id, { thread_id: thread.id, ...outputs });
  assert.equal(run.status, "completed");
  const thinking = await threads.createAndRun({
    assistant_id: assistant.id,
    thread: said("!think 60"),
  });
  await threads.runs.cancel(...under(thinking.thread_id, thinking.id));
  const ended = await threads.runs.poll(...under(thinking.thread_id, thinking.id));
  assert.equal(ended.status, "cancelled");
}

async function lists() {
  const made = new Set();
  for (let n = 0; n < 9; n += 1) made.add((await assistants.create({ model: "m" })).id);
  for await (const assistant of assistants.list({ limit: 2 })) {
    if (!made.delete(assistant.id)) continue;
    await (old ? assistants.del(assistant.id) : assistants.delete(assistant.id));
  }
  assert.equal(made.size, 0);
}

async function errors() {
  await assert.rejects(threads.retrieve("thread_none"), (error) => {
    assert.equal(error.status, 404);
    assert.equal(error.message, "404 No thread found with id 'thread_none'.");
    return true;
  });
  const thread = await threads.create(said("!say a\n!think 60"));
  const assistant = await assistants.create({ model: "scripted" });
  const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
  stream.on("textDelta", () => (old ? threads.del(thread.id) : threads.delete(thread.id)));
  await assert.rejects(stream.finalRun(), /The run was deleted/);
}

for (const part of [streams, codes, mixed, polls, lists, errors]) await part();
console.log("well");
