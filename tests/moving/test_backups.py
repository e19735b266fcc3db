"""Backups: of one moment, whatever is written meanwhile, and looked at before they are trusted."""

import asyncio
import io
import json
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.kit.moving import quiet
from tests.kit.server import Server, running

from locum import backing_up
from locum.app import open_database
from locum.moving import backups
from locum.moving.backups import BackupError
from locum.serving import alone
from locum.settings import Settings, SettingsError
from locum.store import snapshots


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"!")


def _manifest(folder: Path) -> dict[str, dict[str, object]]:
    told: dict[str, dict[str, object]] = json.loads((folder / "manifest.json").read_text())
    return told


def _rename_in_manifest(folder: Path, name: str) -> None:
    told = _manifest(folder)
    told["files"][name] = told["files"].pop("locum.db")
    (folder / "manifest.json").write_text(json.dumps(told))


def _forget_in_manifest(folder: Path) -> None:
    told = _manifest(folder)
    told["files"] = {"locum.db": told["files"]["locum.db"]}
    (folder / "manifest.json").write_text(json.dumps(told))


def _corrupt(folder: Path) -> None:
    data = bytearray((folder / "locum.db").read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\xff" * (4096 * 4)
    (folder / "locum.db").write_bytes(data)
    _renew_sum(folder)


def _renew_sum(folder: Path) -> None:
    told = _manifest(folder)
    with (folder / "locum.db").open("rb") as file:
        found = backups._sum(file)
    told["files"]["locum.db"] = {"bytes": found.bytes, "sha256": found.sha256}
    (folder / "manifest.json").write_text(json.dumps(told))


@pytest.fixture
def server() -> Iterator[Server]:
    with running(allow_downloads=True) as server:
        yield server


def _file(server: Server, text: bytes) -> str:
    with server.sdk() as sdk:
        return sdk.files.create(file=("notes.txt", text), purpose="assistants").id


def _restored(source: Path, data: Path, *, force: bool = False) -> list[str]:
    settings = Settings(data=data)
    return asyncio.run(backing_up.restore(settings, source, force=force, tick=quiet))


@pytest.mark.parametrize("name", ["backup", "backup.tar", "backup.tgz"])
def test_what_is_restored_is_served_as_it_was(server: Server, tmp_path: Path, name: str) -> None:
    file_id = _file(server, b"Bring bread.")
    with server.sdk() as sdk:
        thread = sdk.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    told = backing_up.backup(server.settings, tmp_path / name, tick=quiet)
    assert told == [f"{tmp_path / name} holds the database and 1 files."]
    _restored(tmp_path / name, tmp_path / "data")
    with running(data=tmp_path / "data", allow_downloads=True) as there, there.sdk() as sdk:
        assert sdk.files.content(file_id).read() == b"Bring bread."
        assert sdk.beta.threads.retrieve(thread.id).id == thread.id
        assert len(sdk.beta.threads.messages.list(thread.id).data) == 1


def test_no_row_lacks_its_file_however_much_is_written_and_deleted_meanwhile(
    server: Server, tmp_path: Path
) -> None:
    stop = threading.Event()

    def live() -> None:
        with server.sdk() as sdk:
            held: list[str] = []
            while not stop.is_set():
                held.append(_file(server, b"x" * 2_000))
                sdk.beta.threads.create()
                if len(held) > 3:
                    sdk.files.delete(held.pop(0))

    writers = [threading.Thread(target=live) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(4):
            backing_up.backup(server.settings, tmp_path / f"{number}", tick=quiet)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for number in range(4):
        manifest = backups.verified(tmp_path / f"{number}", tick=quiet)
        held = snapshots.held_blobs(tmp_path / f"{number}" / "locum.db")
        assert len(held) == len(manifest.files) - 1
        on_disk = {path.name for path in (tmp_path / f"{number}" / "blobs").rglob("*/*")}
        assert on_disk == held


def test_a_file_that_is_deleted_while_it_is_copied_makes_the_copy_begin_anew(
    server: Server, tmp_path: Path
) -> None:
    first, second = _file(server, b"one"), _file(server, b"two")
    deleted: list[str] = []

    def tick(_what: str, _done: int, _total: int) -> None:
        if not deleted:
            deleted.append(first)
            with server.sdk() as sdk:
                sdk.files.delete(first)
                sdk.files.delete(second)

    backing_up.backup(server.settings, tmp_path / "b", tick=tick)
    assert list(backups.verified(tmp_path / "b", tick=quiet).files) == ["locum.db"]


def test_a_file_whose_bytes_are_lost_is_named_as_what_keeps_from_a_backup(
    server: Server, tmp_path: Path
) -> None:
    _file(server, b"here")
    (blob,) = (server.settings.data / "blobs").glob("??/*")
    lost = _file(server, b"lost")
    for path in (server.settings.data / "blobs").glob("??/*"):
        if path != blob:
            path.unlink()
    with pytest.raises(BackupError, match=rf"bytes of {lost} are lost.*Delete"):
        backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    with server.sdk() as sdk:
        sdk.files.delete(lost)
    backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    assert len(backups.verified(tmp_path / "b", tick=quiet).files) == 2


@pytest.mark.parametrize("name", ["b", "b.tar", "b.tgz"])
def test_a_backup_is_for_its_owner_alone(server: Server, tmp_path: Path, name: str) -> None:
    backing_up.backup(server.settings, tmp_path / name, tick=quiet)
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_a_backup_overwrites_nothing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(BackupError, match="there already"):
        backing_up.backup(server.settings, tmp_path / "b", tick=quiet)


def test_nothing_is_backed_up_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="There is no"):
        backing_up.backup(Settings(data=tmp_path), tmp_path / "b", tick=quiet)
    assert not (tmp_path / "b").exists()


def test_postgres_has_tools_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url="postgresql://nowhere/x")
    with pytest.raises(BackupError, match="PostgreSQL"):
        backing_up.backup(settings, tmp_path / "b", tick=quiet)
    with pytest.raises(BackupError, match="PostgreSQL"):
        asyncio.run(backing_up.restore(settings, tmp_path / "b", force=True, tick=quiet))


def test_a_restore_sets_aside_what_is_there_only_when_it_is_told_to(
    server: Server, tmp_path: Path
) -> None:
    _file(server, b"old")
    backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    _restored(tmp_path / "b", tmp_path / "data")
    with pytest.raises(BackupError, match="--force"):
        _restored(tmp_path / "b", tmp_path / "data")
    told = _restored(tmp_path / "b", tmp_path / "data", force=True)
    kept = next((tmp_path / "data").glob("before-restore-*"))
    assert told[-1] == f"What was there before lies in {kept}."
    assert snapshots.damage(kept / "locum.db") is None
    assert not list((tmp_path / "data").glob(".restoring-*"))


def test_nothing_is_served_where_a_restore_was_interrupted_until_it_is_done(
    server: Server, tmp_path: Path
) -> None:
    _file(server, b"kept")
    backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    data = tmp_path / "data"
    # As a process leaves it that is killed when it has set aside what was there.
    ready = data / ".restoring-x"
    ready.mkdir(parents=True)
    (ready / "locum.db").write_bytes(b"")
    with pytest.raises(SettingsError, match="interrupted"):
        open_database(Settings(data=data))
    _restored(tmp_path / "b", data)
    assert not ready.exists()
    asyncio.run(open_database(Settings(data=data)).close())


def test_a_running_server_is_not_restored_over(server: Server, tmp_path: Path) -> None:
    backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    data = tmp_path / "data"
    with alone(data), pytest.raises(Exception, match="Another server"):
        _restored(tmp_path / "b", data)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no manifest"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "locum.db").unlink(), "is missing"),
        (lambda folder: _append(folder / "locum.db"), "checksum differs"),
        (lambda folder: _append(next((folder / "blobs").glob("*/*"))), "checksum differs"),
        (lambda folder: _rename_in_manifest(folder, "../../etc/passwd"), "no backup holds"),
        (_forget_in_manifest, "lacks 1 files"),
        (_corrupt, "damaged"),
    ],
)
def test_a_backup_that_is_not_as_it_was_made_is_refused(
    server: Server, tmp_path: Path, harm: Callable[[Path], object], says: str
) -> None:
    _file(server, b"precious")
    backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    harm(tmp_path / "b")
    with pytest.raises(BackupError, match=says):
        _restored(tmp_path / "b", tmp_path / "data")
    assert not (tmp_path / "data" / "locum.db").exists()


def test_a_backup_of_a_newer_version_is_refused(server: Server, tmp_path: Path) -> None:
    backing_up.backup(server.settings, tmp_path / "b", tick=quiet)
    with sqlite3.connect(tmp_path / "b" / "locum.db") as database:
        database.execute("INSERT INTO migrations VALUES (9999, 'breaking_future', 'x')")
    database.close()
    _renew_sum(tmp_path / "b")
    with pytest.raises(Exception, match="9999"):
        _restored(tmp_path / "b", tmp_path / "data")
    assert not (tmp_path / "data" / "locum.db").exists()


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "blobs/aa/../../x", "sub/locum.db"])
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(BackupError, match="no backup does"):
        _restored(tmp_path / "b.tar", tmp_path / "data")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"not a tar")
    with pytest.raises(BackupError, match="no whole backup"):
        _restored(tmp_path / "b.tar", tmp_path / "data")
    with pytest.raises(BackupError, match="There is no"):
        _restored(tmp_path / "c.tar", tmp_path / "data")
