"""LangChain's own runnable for assistants, unchanged, with a tool that it calls."""

from langchain_classic.agents import AgentExecutor
from langchain_classic.agents.openai_assistant import OpenAIAssistantRunnable
from langchain_core.tools import tool


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 °C and sunny, says the window of {city}"


# OPENAI_BASE_URL=http://127.0.0.1:8000/v1 and OPENAI_API_KEY are read from the environment.
agent = OpenAIAssistantRunnable.create_assistant(
    name="weather frog",
    instructions="Say how the weather is.",
    tools=[get_weather],
    model="gpt-4o",
    as_agent=True,
)
executor = AgentExecutor(agent=agent, tools=[get_weather])
print(executor.invoke({"content": "How is the weather in Paris?"})["output"])
