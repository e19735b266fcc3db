// Ask with the official client, call a function, and stream the answer (npm install openai).
import OpenAI from "openai";

// OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY are read from the environment.
const client = new OpenAI();
const { assistants, threads } = client.beta;

const assistant = await assistants.create({
  model: "gpt-4o",
  tools: [{ type: "function", function: { name: "get_weather" } }],
});
const thread = await threads.create({
  messages: [{ role: "user", content: "How is the weather in Paris?" }],
});

let run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
const calls = run.required_action.submit_tool_outputs.tool_calls;
console.log(calls.map((call) => `${call.function.name}(${call.function.arguments})`).join("\n"));

const stream = threads.runs.submitToolOutputsStream(run.id, {
  thread_id: thread.id,
  tool_outputs: calls.map((call) => ({ tool_call_id: call.id, output: "18 °C" })),
});
stream.on("textDelta", (delta) => process.stdout.write(delta.value));
run = await stream.finalRun();
console.log(`\n${run.status}`);

for await (const step of threads.runs.steps.list(run.id, { thread_id: thread.id, order: "asc" })) {
  console.log(step.type, step.status);
}
