"""Text as a message tells it: markers that cite and links to written files become annotations.

A marker arrives whole or not at all, so text is held back from its first character until it
has ended or turned out to be something else. Offsets count code points.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from locum.wire.messages import Annotation, CitedFile, FileCitation, FilePath, WrittenFile

_OPEN, _CLOSE = "【", "】"
_LINK = "sandbox:"
# What browsers, too, leave as it is in an address.
_IN_ADDRESSES = "/()!'*;:@&=+$,"
# A marker is short; what runs on for longer is text.
_LONGEST = 300
# It holds no other: what was opened before was none.
_MARKER = re.compile(f"{_OPEN}[^{_OPEN}{_CLOSE}]{{0,{_LONGEST - 2}}}{_CLOSE}")


class Speech:
    """Takes text as the model speaks it, and gives it as pieces with their annotations."""

    def __init__(self, *, citations: Mapping[str, str], paths: Mapping[str, str]) -> None:
        self._citations = citations
        self._links = {
            _LINK + address: file_id
            for path, file_id in paths.items()
            for address in _written(path)
        }
        # A name stands for itself before it stands for another.
        self._links.update((_LINK + path, file_id) for path, file_id in paths.items())
        self._sorted = sorted(self._links)
        # Longest first: `a.csv.gz` is not the link to `a.csv`.
        self._lengths = sorted({len(link) for link in self._links}, reverse=True)
        self._length = 0
        # The end of what was said, in which links are still looked for.
        self._tail = ""
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[str, Annotation | None]]:
        whole = self._held + text
        open_at = _open_at(whole)
        whole, self._held = whole[:open_at], whole[open_at:]
        said = 0
        for found in _MARKER.finditer(whole):
            file_id = self._citations.get(found[0])
            if file_id is not None:
                yield from self._say(whole[said : found.start()])
                yield self._cite(found[0], file_id)
                said = found.end()
        yield from self._say(whole[said:])

    def end(self) -> Iterator[tuple[str, Annotation | None]]:
        """What was held back, now that nothing follows; what comes after it is another text."""
        held, self._held = self._held, ""
        yield from self._say(held)
        yield from self._find_links(ended=True)
        self._length, self._tail = 0, ""

    def _cite(self, marker: str, file_id: str) -> tuple[str, Annotation]:
        start = self._length
        self._add(marker)
        return marker, FileCitation(
            text=marker,
            start_index=start,
            end_index=self._length,
            file_citation=CitedFile(file_id),
        )

    def _say(self, text: str) -> Iterator[tuple[str, Annotation | None]]:
        if text:
            self._add(text)
            yield text, None
            yield from self._find_links(ended=False)

    def _add(self, text: str) -> None:
        self._length += len(text)
        if self._links:
            self._tail += text

    def _find_links(self, *, ended: bool) -> Iterator[tuple[str, Annotation | None]]:
        if not self._links:
            return
        begins = self._length - len(self._tail)
        longest = self._lengths[0]
        scanned = 0
        while (start := self._tail.find(_LINK, scanned)) >= 0:
            rest = self._tail[start : start + longest]
            if not ended and self._may_go_on(rest):
                scanned = start
                break  # A longer link may still be coming.
            scanned = start + len(_LINK)
            if (link := self._link_of(rest)) is not None:
                scanned = start + len(link)
                yield (
                    "",
                    FilePath(
                        text=link,
                        start_index=begins + start,
                        end_index=begins + scanned,
                        file_path=WrittenFile(self._links[link]),
                    ),
                )
        else:
            # A link may have begun with the last letters.
            scanned = max(scanned, len(self._tail) - len(_LINK) + 1)
        self._tail = self._tail[scanned:]

    def _may_go_on(self, rest: str) -> bool:
        """Whether a link begins with all of this and is longer."""
        # The links that begin with it are those that follow it in their order.
        at = bisect_right(self._sorted, rest)
        return at < len(self._sorted) and self._sorted[at].startswith(rest)

    def _link_of(self, rest: str) -> str | None:
        """The longest link that this begins with."""
        begins = (rest[:length] for length in self._lengths if length <= len(rest))
        return next((link for link in begins if link in self._links), None)


def _written(path: str) -> Iterator[str]:
    """A path as models write it in a link of Markdown, in which no space may stand."""
    yield path.replace(" ", "%20")
    yield quote(path, safe=_IN_ADDRESSES, errors="replace")
    yield quote(path, errors="replace")


def _open_at(text: str) -> int:
    """Where a marker begins that has not ended; the end of the text if none does."""
    start = text.rfind(_OPEN)
    is_open = start >= 0 and len(text) - start <= _LONGEST and text.find(_CLOSE, start) < 0
    return start if is_open else len(text)
