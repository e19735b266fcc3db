"""Names planted in /mnt/data, to make the server read, write, wait or delete elsewhere."""

import os
from pathlib import Path

import pytest
from tests.tools.code_interpreter.rig import Rig

from locum.tools.code_interpreter.files import DataDirectory, remove_tree
from locum.tools.code_interpreter.limits import Limits


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("of the server")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("from the server")
    return path


def test_links_are_no_files_and_are_not_read(any_rig: Rig, secret: Path) -> None:
    session = any_rig.session()
    code = f"""
import os
os.symlink({str(secret)!r}, 'link')
os.symlink({str(secret.parent)!r}, 'linked')
os.symlink('/proc/self/environ', 'process')
os.symlink('.', 'loop')
_ = open('honest', 'w').write('x')
"""
    any_rig.run(session, code)

    assert list(any_rig.wait(session.files())) == ["honest"]
    for name in ("link", "linked/secret", "process", "loop/honest", "loop/loop/honest"):
        with pytest.raises(FileNotFoundError):
            any_rig.read(session, name)


@pytest.mark.parametrize(
    "name",
    [
        "../other/file",
        "..",
        ".",
        "",
        "/etc/passwd",
        "a/../../x",
        "a//b",
        "./honest",
        "a\0b",
        "a/" * 40,
    ],
)
def test_names_that_lead_out_are_not_read(any_rig: Rig, name: str) -> None:
    session = any_rig.session()
    any_rig.run(session, "_ = open('honest', 'w').write('x')")

    with pytest.raises(FileNotFoundError):
        any_rig.read(session, name)


def test_a_link_is_replaced_and_not_written_through(
    any_rig: Rig, secret: Path, source: Path
) -> None:
    session = any_rig.session()
    any_rig.run(session, f"import os\nos.symlink({str(secret)!r}, 'table.csv')")

    any_rig.wait(session.put("table.csv", source))

    assert secret.read_text() == "of the server"
    assert any_rig.read(session, "table.csv") == b"from the server"


def test_directories_and_pipes_in_the_way_of_a_file_are_replaced(
    any_rig: Rig, secret: Path, source: Path
) -> None:
    session = any_rig.session()
    code = f"""
import os
os.makedirs('table.csv/deep'); os.symlink({str(secret.parent)!r}, 'table.csv/deep/link')
os.chmod('table.csv/deep', 0)
os.mkfifo('pipe')
"""
    any_rig.run(session, code)

    any_rig.wait(session.put("table.csv", source))
    any_rig.wait(session.put("pipe", source))

    assert sorted(any_rig.wait(session.files())) == ["pipe", "table.csv"]
    assert secret.read_text() == "of the server"


def test_pipes_and_sockets_are_never_waited_for(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, "import os\nos.mkfifo('pipe')")

    assert any_rig.wait(session.files()) == {}
    with pytest.raises(FileNotFoundError):
        any_rig.read(session, "pipe")


def test_files_of_two_names_are_no_files(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, "import os\n_ = open('a', 'w').write('x')\nos.link('a', 'b')")

    assert any_rig.wait(session.files()) == {}
    with pytest.raises(FileNotFoundError):
        any_rig.read(session, "a")


def test_hard_links_to_what_lies_outside_cannot_be_made(walled: Rig) -> None:
    text = walled.logs(walled.session(), "import os\nos.link('/usr/bin/env', 'env')")

    assert "Invalid cross-device link" in text


def test_names_that_cannot_be_printed_are_not_offered(any_rig: Rig) -> None:
    session = any_rig.session()
    code = r"""
right_to_left = b'\xe2\x80\xae'
for name in (b'two\nlines', b'bell\x07', b'\xff\xfe', right_to_left, 'fine é.txt'.encode()):
    open(name, 'w').close()
"""
    any_rig.run(session, code)

    assert list(any_rig.wait(session.files())) == ["fine é.txt"]


@pytest.mark.parametrize(
    "name", ["Shot at 3.45\u202fPM.png", "a\xa0b", "表\u3000一.csv", "می\u200cخواهم.txt"]
)
def test_names_with_spaces_and_joints_of_other_tongues_are_offered(any_rig: Rig, name: str) -> None:
    session = any_rig.session()
    any_rig.run(session, f"open({name!r}, 'w').close()")

    assert list(any_rig.wait(session.files())) == [name]


def test_paths_that_are_too_long_are_not_offered(any_rig: Rig) -> None:
    session = any_rig.session()
    code = """
import os
for name in ('d' * 250, 'e' * 250, 'f' * 250, 'g' * 250):
    os.mkdir(name); os.chdir(name)
for length in (20, 21):
    open('x' * length, 'w').close()
"""
    any_rig.run(session, code)

    assert [len(path) for path in any_rig.wait(session.files())] == [1024]


def test_a_file_that_grows_is_read_to_where_it_was(any_rig: Rig) -> None:
    session = any_rig.session()
    any_rig.run(session, "_ = open('log', 'w').write('x' * 10)")

    async def read() -> bytes:
        chunks = await session.read("log")
        async for _ in session.run("_ = open('log', 'a').write('y' * 10)"):
            pass
        return b"".join([chunk async for chunk in chunks])

    assert any_rig.wait(read()) == b"x" * 10


def test_a_directory_replaced_by_a_link_is_not_entered(tmp_path: Path, secret: Path) -> None:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "secret").write_text("of the session")
    directory = DataDirectory(data, owner=None, limits=Limits())
    assert directory._files().keys() == {"sub/secret"}

    (data / "sub" / "secret").unlink()
    (data / "sub").rmdir()
    (data / "sub").symlink_to(secret.parent)

    assert directory._files() == {}
    with pytest.raises(FileNotFoundError):
        directory._open("sub/secret")


def test_deleting_removes_links_and_not_what_they_point_at(tmp_path: Path, secret: Path) -> None:
    data = tmp_path / "data"
    (data / "a" / "b").mkdir(parents=True)
    (data / "a" / "b" / "link").symlink_to(secret.parent)
    (data / "a" / "b" / "file").symlink_to(secret)
    (data / "top").symlink_to(secret.parent)
    os.mkfifo(data / "pipe")

    remove_tree(data)

    assert not data.exists()
    assert secret.read_text() == "of the server"


@pytest.mark.slow
def test_deleting_ends_however_deep_the_tree_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    top = here = os.open(data, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("x", dir_fd=here)
        below = os.open("x", os.O_RDONLY, dir_fd=here)
        if here != top:
            os.close(here)
        here = below
    os.close(here)
    os.close(top)

    remove_tree(data)

    assert not data.exists()


def test_the_owner_of_a_link_is_changed_and_not_of_its_target(tmp_path: Path, secret: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root changes owners")
    data = tmp_path / "data"
    data.mkdir()
    (data / "link").symlink_to(secret)
    (data / "file").touch()

    DataDirectory(data, owner=70_000, limits=Limits())._make()

    assert (data / "link").lstat().st_uid == (data / "file").stat().st_uid == 70_000
    assert secret.stat().st_uid == 0
