"""Answer from files, and say which: a vector store, a question, citations, and their passages."""

from openai import OpenAI

client = OpenAI()
store = client.vector_stores.create(name="handbook")
client.vector_stores.files.upload_and_poll(
    vector_store_id=store.id,
    file=("leave.txt", b"Employees have twenty days of leave a year."),
)
assistant = client.beta.assistants.create(
    model="gpt-4o",
    tools=[{"type": "file_search"}],
    tool_resources={"file_search": {"vector_store_ids": [store.id]}},
)
run = client.beta.threads.create_and_run_poll(
    assistant_id=assistant.id,
    thread={"messages": [{"role": "user", "content": "How many days of leave do we have?"}]},
)
text = client.beta.threads.messages.list(run.thread_id).data[0].content[0].text
answer = text.value
for number, annotation in enumerate(text.annotations, start=1):
    name = client.files.retrieve(annotation.file_citation.file_id).filename
    answer = answer.replace(annotation.text, f" [{number}]") + f"\n[{number}] {name}"
print(answer)

steps = client.beta.threads.runs.steps.list(
    run.id,
    thread_id=run.thread_id,
    order="asc",
    include=["step_details.tool_calls[*].file_search.results[*].content"],
)
for result in steps.data[0].step_details.tool_calls[0].file_search.results:
    print(f"{result.score:.2f} {result.file_name}: {result.content[0].text}")
