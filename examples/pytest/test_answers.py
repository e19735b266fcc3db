"""A program that asks an assistant, and what it does when all is well and when it is not."""

from openai import OpenAI


def answer(question: str) -> str:
    client = OpenAI()
    assistant = client.beta.assistants.create(model="gpt-4o")
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": question}]},
    )
    if run.status == "failed":
        return f"Sorry: {run.last_error.message}"
    return client.beta.threads.messages.list(run.thread_id).data[0].content[0].text.value


def test_what_is_known_is_said() -> None:
    assert answer("What is the capital of France?") == "Paris."


def test_what_is_not_known_is_admitted() -> None:
    assert answer("And of Atlantis?") == "I do not know."


def test_a_busy_model_is_excused() -> None:
    assert answer("!error rate_limit Slow down.") == "Sorry: Slow down."
