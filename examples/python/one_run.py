"""Ask, wait, read the answer and the steps that led to it."""

from openai import OpenAI

# OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY are read from the environment.
client = OpenAI()

assistant = client.beta.assistants.create(model="gpt-4o", instructions="Be brief.")
thread = client.beta.threads.create()
client.beta.threads.messages.create(thread.id, role="user", content="Good morning.")
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
print(run.status)

for message in client.beta.threads.messages.list(thread.id, order="asc"):
    print(f"{message.role}: {message.content[0].text.value}")
for step in client.beta.threads.runs.steps.list(run.id, thread_id=thread.id):
    print(step.type, step.status)
