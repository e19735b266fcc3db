"""A second opinion on the best passages, by a model that reads query and passage together.

It is asked for all queries of a search or counts for none: its scores and those of `fuse` do not
compare. A search goes on without it.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

from locum import logs

# Room for what arithmetic in few bits makes of a probability of 1.
_ROUNDING = 1e-3


class RerankingFailed(Exception):
    """No scores. The message goes into logs: it names the failure and quotes nobody."""


class Reranker(Protocol):
    async def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """A finite number for each text, in order; a failure is raised as `RerankingFailed`."""
        ...

    async def close(self) -> None: ...


async def second_opinion(
    reranker: Reranker,
    asked: Sequence[tuple[str, Sequence[str]]],
    *,
    within_s: float,
) -> list[list[float]] | None:
    """A score in 0..1 for each text of each query; None when there is no opinion to be had."""
    try:
        async with asyncio.timeout(within_s):
            raw = [await reranker.scores(query, texts) if texts else () for query, texts in asked]
    except TimeoutError:
        reason = "too slow"
    except RerankingFailed as failure:
        reason = str(failure)
    else:
        return in_unit(raw)
    logs.warning("search.not_reranked", reason=reason)
    return None


def in_unit(raw: Sequence[Sequence[float]]) -> list[list[float]]:
    """Scores as they are, if all lie in 0..1; else all are logits, and become probabilities.

    The same is done to each score of a search, and it never turns an order round.
    """
    if all(-_ROUNDING <= score <= 1 + _ROUNDING for scores in raw for score in scores):
        return [[min(1.0, max(0.0, score)) for score in scores] for scores in raw]
    return [[_probability(score) for score in scores] for scores in raw]


def _probability(logit: float) -> float:
    # Two spellings of the logistic function, so that neither end overflows.
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))
