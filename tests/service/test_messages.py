"""What a message costs that shows pictures."""

import asyncio
from functools import partial

from tests.kit import costs, forms
from tests.kit.inside import inside


def test_parts_of_a_message_do_not_each_ask_the_database() -> None:
    """While they are looked at nobody else can write."""

    async def scenario() -> list[int]:
        async with inside() as door:
            thread = (await door.json("POST", "/v1/threads", {})).json
            form = forms.form(
                forms.field("purpose", "vision"), forms.file(b"x", filename='filename="a.png"')
            )
            headers = [
                (b"authorization", b"Bearer k"),
                (b"content-type", forms.HEADERS["Content-Type"].encode()),
            ]
            file = (await door.send("POST", b"/v1/files", headers=headers, body=form)).json
            part = {"type": "image_file", "image_file": {"file_id": file["id"]}}
            path = f"/v1/threads/{thread['id']}/messages"

            async def say(parts: int) -> None:
                body = {"role": "user", "content": [part] * parts}
                answer = await door.json("POST", path, body)
                assert answer.status == 200, answer.body

            return [await costs.statements_of(door, partial(say, parts)) for parts in (1, 50)]

    one, many = asyncio.run(scenario())
    assert many == one
