"""Let the model call a function of yours, and go on with what it returned."""

import json

from openai import OpenAI

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def get_weather(city: str) -> str:
    return f"18 °C and sunny, says the window of {city}"


client = OpenAI()
assistant = client.beta.assistants.create(model="gpt-4o", tools=[TOOL])
thread = client.beta.threads.create(
    messages=[{"role": "user", "content": "How is the weather in Paris?"}]
)
run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
while run.status == "requires_action":
    outputs = []
    for call in run.required_action.submit_tool_outputs.tool_calls:
        print(f"{call.function.name}({call.function.arguments})")
        output = get_weather(**json.loads(call.function.arguments))
        outputs.append({"tool_call_id": call.id, "output": output})
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs
    )
print(client.beta.threads.messages.list(thread.id).data[0].content[0].text.value)
