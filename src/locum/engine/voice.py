"""What a run says: one message after the other, each with its pictures, citations and links."""

from typing import Any

from locum.engine.change import Change
from locum.engine.context import History
from locum.engine.parts import OpenMessage
from locum.engine.recorder import Recorder
from locum.engine.speech import Speech
from locum.store.runs import Words
from locum.tools.tool import Memory
from locum.wire.messages import Annotation, IncompleteReason, Message, Refusal, Text
from locum.wire.runs import Usage
from locum.wire.steps import RunStep, StepError, StepStatus


class Voice:
    """Opens a message with its first words, and closes it with all that were said."""

    def __init__(self, recorder: Recorder, history: History) -> None:
        self._recorder = recorder
        # What came of calls, and their pictures that no message has shown yet.
        self._memories = list(history.memories)
        self._images = list(history.images)
        self._step: RunStep | None = None
        self.begin()

    def begin(self) -> None:
        """What is said next is a message of its own."""
        self._message: Message | None = None
        self._said = OpenMessage()
        citations: dict[str, str] = {}
        paths: dict[str, str] = {}
        for memory in self._memories:
            citations.update(memory.citations)
            paths.update(memory.paths)
        self._speech = Speech(citations=citations, paths=paths)

    def remember(self, memory: Memory) -> None:
        self._memories.append(memory)
        self._images.extend(memory.images)

    @property
    def is_open(self) -> bool:
        """Whether a message has begun and has not ended."""
        return self._step is not None

    @property
    def words(self) -> list[str]:
        """What the message says so far, part by part."""
        return [
            part.text.value if isinstance(part, Text) else part.refusal
            for part in self._said.parts()
            if isinstance(part, Text | Refusal)
        ]

    async def say(self, text: str) -> None:
        for piece, annotation in self._speech.feed(text):
            await self._say_text(piece, annotation)

    async def refuse(self, text: str) -> None:
        """A part of its own: what is said before and after it are two others."""
        await self.say_held()
        if self._message is None:
            await self._show_images()
        await self._say(self._said.refusal(text))

    async def say_held(self) -> None:
        """Say what was held back, now that nothing follows in this part."""
        for piece, annotation in self._speech.end():
            await self._say_text(piece, annotation)

    async def say_words(self, words: Words) -> None:
        await self.say(words.text)
        if words.refusal:
            await self.refuse(words.refusal)

    async def open(self, text: str) -> None:
        """Begin the message, though there is no more to say: clients need one delta in each."""
        await self.say_held()
        if self._message is None:
            await self._say_text(text, None)

    async def close(
        self,
        status: StepStatus,
        *,
        usage: Usage,
        cut: IncompleteReason | None,
        error: StepError | None,
    ) -> Change:
        """End the open message and its step: what it said, and how it ended."""
        await self.say_held()
        assert self._message is not None
        assert self._step is not None
        message = self._recorder.closed_message(self._message, self._said.parts(), cut)
        step = self._recorder.closed_step(self._step, status, usage=usage, error=error)
        self._step = None
        return self._recorder.spoken(message, step)

    async def _say_text(self, piece: str, annotation: Annotation | None) -> None:
        if self._message is None:
            await self._show_images()
        await self._say(self._said.text(piece, annotation))

    async def _show_images(self) -> None:
        """Pictures that code has shown since the last message stand before its text."""
        images, self._images = self._images, []
        for file_id in images:
            await self._say(self._said.image(file_id))

    async def _say(self, part: dict[str, Any]) -> None:
        if self._message is None:
            self._step, self._message = await self._recorder.open_message(part)
        else:
            await self._recorder.say(self._message, part)
