"""Let the model write code and run it, then read the code and what it printed from the steps."""

from openai import OpenAI

client = OpenAI()
assistant = client.beta.assistants.create(model="gpt-4o", tools=[{"type": "code_interpreter"}])
run = client.beta.threads.create_and_run_poll(
    assistant_id=assistant.id,
    thread={"messages": [{"role": "user", "content": "What is the sum of 1 to 100?"}]},
)
for step in client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc"):
    if step.type == "tool_calls":
        for call in step.step_details.tool_calls:
            print(call.code_interpreter.input)
            for output in call.code_interpreter.outputs:
                print(">", output.logs.strip() if output.type == "logs" else output.image.file_id)
print(client.beta.threads.messages.list(run.thread_id).data[0].content[0].text.value)
