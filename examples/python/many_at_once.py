"""Many conversations at a time, with the asynchronous client."""

import asyncio

from openai import AsyncOpenAI


async def main() -> None:
    async with AsyncOpenAI() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o")
        questions = [f"Question {number}" for number in range(1, 6)]
        answers = await asyncio.gather(*(ask(client, assistant.id, each) for each in questions))
    print("\n".join(answers))


async def ask(client: AsyncOpenAI, assistant_id: str, question: str) -> str:
    run = await client.beta.threads.create_and_run_poll(
        assistant_id=assistant_id,
        thread={"messages": [{"role": "user", "content": question}]},
    )
    messages = await client.beta.threads.messages.list(run.thread_id, limit=1)
    return messages.data[0].content[0].text.value


asyncio.run(main())
