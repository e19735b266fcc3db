"""Preparing a text: how many chunks one file may have, cut here or in another process."""

import asyncio
import re

import pytest
from tests.kit.embedders import HashEmbedder

from locum.llm import tokens
from locum.tools.file_search.cutters import Cutters
from locum.tools.file_search.extract import ExtractionFailed
from locum.tools.file_search.prepare import Chunking, Prepared, Tokenizer, prepare

_BOUND_S = 60


def _prepared(text: str, chunking: Chunking) -> Prepared:
    async def bounded() -> Prepared:
        cutters = Cutters(workers=1)
        try:
            async with asyncio.timeout(_BOUND_S):
                return await prepare(
                    text,
                    chunking=chunking,
                    tokenizer=Tokenizer(tokens.encode, tokens.token_bytes),
                    embedder=HashEmbedder(),
                    window_tokens=None,
                    cutters=cutters,
                )
        finally:
            await cutters.close()

    return asyncio.run(bounded())


@pytest.mark.parametrize("times", [10, 1_000])
def test_a_file_of_too_many_chunks_is_refused_before_they_are_kept(times: int) -> None:
    """Long texts are cut in a process, whose refusal travels."""
    text = "One sentence follows another. " * times
    whole = len(_prepared(text, Chunking(20, 10)).passages)
    assert len(_prepared(text, Chunking(20, 10, most=whole)).passages) == whole
    with pytest.raises(ExtractionFailed) as refused:
        _prepared(text, Chunking(20, 10, most=whole - 1))
    assert refused.value.code == "invalid_file"
    assert re.fullmatch(r"The file holds more than \d+ chunks of this size.", str(refused.value))
