"""AutoGen's own agent for assistants, unchanged, with a function that it calls."""

import asyncio

from autogen_agentchat.messages import TextMessage, ToolCallRequestEvent
from autogen_core import CancellationToken
from autogen_ext.agents.openai import OpenAIAssistantAgent
from openai import AsyncOpenAI


def get_weather(city: str) -> str:
    return f"18 °C and sunny, says the window of {city}"


async def main() -> None:
    # OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY are read from the environment.
    async with AsyncOpenAI() as client:
        agent = OpenAIAssistantAgent(
            name="weather_frog",
            description="Knows the weather.",
            client=client,
            model="gpt-4o",
            instructions="Say how the weather is.",
            tools=[get_weather],
        )
        question = TextMessage(content="How is the weather in Paris?", source="user")
        answer = await agent.on_messages([question], CancellationToken())
        for event in answer.inner_messages or ():
            if isinstance(event, ToolCallRequestEvent):
                print(*(f"{call.name}({call.arguments})" for call in event.content), sep="\n")
        print(answer.chat_message.content)


asyncio.run(main())
