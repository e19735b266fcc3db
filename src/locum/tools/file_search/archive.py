"""Zip archives of XML, opened as if each were a bomb: Office documents are nothing else."""

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import BinaryIO
from xml.parsers import expat

from locum.tools.file_search.reading import Limits, Unreadable

_BLOCK = 1 << 16
# Of XML that is one tag or one comment: the parser begins it anew with every block.
_LONGEST_PIECE = 4 << 20
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCAL_HEADER = b"PK\x03\x04"
_ENCRYPTED = 0x1
_NAMES_KEPT = 1024

# Called with the local name and the attributes by local name; the end with the name alone.
Start = Callable[[str, Mapping[str, str]], None]
End = Callable[[str], None]
Words = Callable[[str], None]


class Archive:
    """Reads members under one budget of unzipped bytes.

    Names are told in small letters and with slashes: so Office compares them, however written.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        head = file.read(len(_OLD_OFFICE))
        if head == _OLD_OFFICE:
            raise Unreadable("The file is encrypted, or older than its extension says.")
        if not head.startswith(_LOCAL_HEADER):
            raise Unreadable("The file could not be parsed as an Office document.")
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise Unreadable("The file could not be parsed: its zip archive is broken.") from None
        if len(self._zip.infolist()) > limits.zip_entries:
            raise Unreadable(f"The file's zip archive has more than {limits.zip_entries} entries.")
        self._left = limits.unzipped_bytes
        self._depth = limits.xml_depth
        self._members = {_name(info.filename): info for info in self._zip.infolist()}
        self.names = self._members.keys()

    def parse(self, name: str, *, start: Start, end: End, words: Words) -> None:
        """Walk the XML of one member. Document types, and so entities, are refused."""
        parser = _parser(start=start, end=end, words=words, most_deep=self._depth)
        info = self._members[name]
        if info.flag_bits & _ENCRYPTED:
            raise Unreadable("The file is encrypted; a password would be needed.")
        try:
            with self._zip.open(info) as data:
                fed = 0
                while block := data.read(_BLOCK):
                    self._spend(len(block))
                    parser.Parse(block)
                    fed += len(block)
                    if fed - parser.CurrentByteIndex > _LONGEST_PIECE:
                        raise Unreadable("The file's XML has a tag or a comment without end.")
            parser.Parse(b"", True)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            raise Unreadable("The file could not be parsed: its zip archive is broken.") from None
        except (expat.ExpatError, LookupError, OSError):
            # An encoding that nobody knows, or that was not at hand when the walls closed.
            raise Unreadable("The file could not be parsed: its XML is broken.") from None

    def main(self, usual: str) -> str:
        """The member that the archive is about: as its own references say, or the usual one."""
        folder = usual.partition("/")[0]
        for kind, _, target in self._references(""):
            if kind == "officeDocument" and target.partition("/")[0] == folder:
                return target
        return usual

    def related(self, name: str) -> Mapping[str, str]:
        """What a member refers to: the names of other members, by the id of the reference."""
        return {reference: target for _, reference, target in self._references(name)}

    def _references(self, name: str) -> list[tuple[str, str, str]]:
        """Of each reference within the archive its kind, its id and the name of a member."""
        folder, _, file = name.rpartition("/")
        found: list[tuple[str, str, str]] = []

        def start(element: str, attributes: Mapping[str, str]) -> None:
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                kind = attributes.get("Type", "").rpartition("/")[2]
                target = posixpath.join(f"/{folder}", attributes.get("Target", ""))
                name = posixpath.normpath(_name(target)).lstrip("/")
                found.append((kind, attributes.get("Id", ""), name))

        relations = f"{folder}/_rels/{file}.rels".lstrip("/")
        if relations in self.names:
            self.parse(relations, start=start, end=nothing, words=nothing)
        return found

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Unreadable("The file unpacks to more than can be read; it may be a zip bomb.")


def _parser(*, start: Start, end: End, words: Words, most_deep: int) -> expat.XMLParserType:
    # With a separator, expat resolves namespaces: what a prefix is called stops to matter.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    # Millions of elements bear a few names.
    element, attribute = lru_cache(_NAMES_KEPT)(local), lru_cache(_NAMES_KEPT)(_key)
    depth = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > most_deep:
            raise Unreadable(f"The file's XML is nested more than {most_deep} deep.")
        start(element(name), {attribute(key): value for key, value in attributes.items()})

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(element(name))

    def refuse(*_: object) -> None:
        raise Unreadable("The file's XML declares a document type, which Office never does.")

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.CharacterDataHandler = words
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def _name(written: str) -> str:
    return written.replace("\\", "/").lower()


def _key(name: str) -> str:
    """An attribute's local name, but for references: `r:id` stands beside an `id` of its own."""
    namespace, _, key = name.rpartition(" ")
    return f"r:{key}" if namespace.endswith("/relationships") else key


def nothing(_: str) -> None:
    """What an element says or where it ends is of no interest."""


def local(name: str) -> str:
    return name.rpartition(" ")[2]
