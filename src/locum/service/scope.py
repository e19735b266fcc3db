"""What an operation may reach, and on whose behalf."""

from dataclasses import dataclass

from locum import limits
from locum.clock import Clock
from locum.engine.engine import Engine
from locum.ids import Ids
from locum.llm.protocol import Backend
from locum.metrics import Metrics
from locum.service.backlog import Backlog
from locum.service.health import Health
from locum.settings import Settings
from locum.store.blobs import Blobs
from locum.store.tables import Store
from locum.tools.file_search.search import Searcher


@dataclass(frozen=True, slots=True)
class House:
    """Everything `app.py` has built, for all projects alike."""

    settings: Settings
    clock: Clock
    ids: Ids
    store: Store
    blobs: Blobs
    engine: Engine
    backend: Backend
    searcher: Searcher
    metrics: Metrics
    health: Health
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Scope:
    """The house as one project sees it: the first argument of every operation."""

    house: House
    project_id: str
    # The first version of the API let a run begin on nothing at all.
    runs_on_nothing: bool = False
    # Nor did it count the files of a thread, only those of each message.
    counts_code_files: bool = True
    # Nor did it forget them: it knew of no store that could expire.
    thread_store_days: int | None = limits.THREAD_STORE_LIFE_DAYS

    @property
    def store(self) -> Store:
        return self.house.store

    @property
    def engine(self) -> Engine:
        return self.house.engine

    def now(self) -> int:
        return self.house.clock.now()

    def new_id(self, prefix: str) -> str:
        return self.house.ids.new(prefix)
