"""What a backend that stands around another one leaves to it."""

from locum.llm.protocol import Backend


class Around:
    """Everything but `stream`, which whoever inherits this has a reason to change."""

    def __init__(self, model: Backend) -> None:
        self._model = model

    async def models(self) -> list[str]:
        return await self._model.models()

    async def check(self) -> str:
        return await self._model.check()

    async def close(self) -> None:
        await self._model.close()
