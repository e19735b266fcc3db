"""What messages cost: pictures that are shown, and thousands at once."""

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


def test_others_have_their_turn_while_a_thousand_messages_are_added() -> None:
    async def scenario() -> int:
        async with inside() as door:
            turns = 0

            async def take_turns() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            said = {"messages": [{"role": "user", "content": "hello"}] * 1_000}
            other = asyncio.create_task(take_turns())
            try:
                await asyncio.sleep(0)
                before = turns
                thread = await door.json("POST", "/v1/threads", said)
                meanwhile = turns - before
            finally:
                other.cancel()
            listed = await door.json("GET", f"/v1/threads/{thread.json['id']}/messages?limit=1")
            assert listed.json["has_more"]
            return meanwhile

    assert asyncio.run(scenario()) >= 20
