"""An import from beginning to end: the dump is staged, written, and told of."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from locum.clock import Clock
from locum.errors import InvalidParameter
from locum.moving.contents import Contents
from locum.moving.gathering import Gatherer, Tick
from locum.moving.importing import Importer
from locum.moving.report import Report, report
from locum.moving.sources import SourceError, Sources
from locum.moving.writing import Writer
from locum.service.keys import require_project
from locum.store.blobs import Blobs
from locum.store.staging import Staging
from locum.store.tables import Store


class Wishes(Struct, frozen=True, kw_only=True):
    """How to import. Without a project, what an export of Locum says of it holds."""

    project_id: str | None
    default_project_id: str
    replaces: bool = False
    dry: bool = False


async def import_dump(
    store: Store,
    blobs: Blobs,
    paths: Sequence[Path],
    wishes: Wishes,
    *,
    folder: Path,
    clock: Clock,
    tick: Tick,
) -> Report:
    """Import what lies at some paths. What is begun is kept in `folder` until it is done."""
    with Sources(paths) as sources:
        place = folder / _name(sources, wishes)
        if wishes.dry:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        staging = Staging(place / "staged.db")
        try:
            if staging.fact("gathered") is None:
                staging.clear()
                gatherer = Gatherer(
                    staging, project_id=wishes.project_id, default=wishes.default_project_id
                )
                gatherer.gather(sources, contents=place, tick=tick)
                await _require_projects(store, staging, wishes, place)
                staging.remember("gathered", "yes")
            writer = Writer(store, staging, replaces=wishes.replaces, dry=wishes.dry)
            contents = Contents(
                store,
                blobs,
                staging,
                sources,
                writer=writer,
                replaces=wishes.replaces,
                dry=wishes.dry,
            )
            await Importer(
                store,
                staging,
                writer=writer,
                contents=contents,
                clock=clock,
                dry=wishes.dry,
                tick=tick,
            ).run()
            told = report(staging, dry=wishes.dry)
        finally:
            staging.close()
    shutil.rmtree(place)
    return told


async def _require_projects(store: Store, staging: Staging, wishes: Wishes, place: Path) -> None:
    """What a dump or a command calls a project is one; that of the settings may have any name."""
    trusted = wishes.default_project_id if wishes.project_id is None else None
    try:
        for project_id in staging.projects():
            if project_id != trusted:
                await require_project(store, project_id)
    except InvalidParameter as error:
        shutil.rmtree(place)
        raise SourceError(f"{error} Name another one with --project.") from error


def _name(sources: Sources, wishes: Wishes) -> str:
    """The same dump, asked for in the same way, is taken up where it was left."""
    asked = msgspec.json.encode([sources.fingerprint(), wishes])
    return hashlib.sha256(asked).hexdigest()[:32]
