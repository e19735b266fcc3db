"""Reading one document, as the tests of every format do."""

import asyncio
from pathlib import Path

import pytest

from locum.tools.file_search.extract import Extracted, ExtractionFailed, Extractor
from locum.tools.file_search.reading import Limits

LIMITS = Limits(wall_s=20.0, cpu_s=10, memory_bytes=512 << 20, text_chars=200_000, pages=50)


def extract(folder: Path, name: str, data: bytes, *, limits: Limits = LIMITS) -> Extracted:
    path = folder / "blob"
    path.write_bytes(data)

    async def once() -> Extracted:
        extractor = Extractor(workers=1, limits=limits)
        try:
            return await extractor.extract(path, name)
        finally:
            await extractor.close()

    return asyncio.run(once())


def refusal(folder: Path, name: str, data: bytes, *, limits: Limits = LIMITS) -> ExtractionFailed:
    with pytest.raises(ExtractionFailed) as failed:
        extract(folder, name, data, limits=limits)
    return failed.value
