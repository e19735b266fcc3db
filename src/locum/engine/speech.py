"""Text as a message tells it: markers that cite and links to written files become annotations.

A marker arrives whole or not at all, so text is held back from its first character until it
has ended or turned out to be something else. Offsets count code points.
"""

from collections.abc import Iterator, Mapping

from locum.wire.messages import Annotation, CitedFile, FileCitation, FilePath, WrittenFile

_OPEN, _CLOSE = "【", "】"
_LINK = "sandbox:"
# A marker is short; what runs on for longer is text.
_LONGEST = 300


class Speech:
    """Takes text as the model speaks it, and gives it as pieces with their annotations."""

    def __init__(self, *, citations: Mapping[str, str], paths: Mapping[str, str]) -> None:
        self._citations = citations
        # Longest first: `a.csv.gz` is not the link to `a.csv`.
        self._links = sorted(
            ((_LINK + path, file_id) for path, file_id in paths.items()),
            key=lambda link: -len(link[0]),
        )
        self._said = ""
        self._scanned = 0
        self._held = ""

    def feed(self, text: str) -> Iterator[tuple[str, Annotation | None]]:
        self._held += text
        while self._held:
            start = self._held.find(_OPEN)
            if start < 0:
                yield from self._say(self._take(len(self._held)))
            elif start > 0:
                yield from self._say(self._take(start))
            else:
                end, again = self._held.find(_CLOSE), self._held.find(_OPEN, 1)
                if again > 0 and not 0 < end < again:
                    # A marker holds no other: what was opened before was no marker.
                    yield from self._say(self._take(again))
                    continue
                if end < 0 and len(self._held) <= _LONGEST:
                    return
                yield from self._marker(self._take(end + 1 if 0 < end < _LONGEST else 1))

    def end(self) -> Iterator[tuple[str, Annotation | None]]:
        """What was held back, now that nothing follows."""
        yield from self._say(self._take(len(self._held)))
        yield from self._find_links(ended=True)

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken

    def _marker(self, marker: str) -> Iterator[tuple[str, Annotation | None]]:
        file_id = self._citations.get(marker)
        if file_id is None:
            yield from self._say(marker)
            return
        start = len(self._said)
        self._said += marker
        yield (
            marker,
            FileCitation(
                text=marker,
                start_index=start,
                end_index=start + len(marker),
                file_citation=CitedFile(file_id),
            ),
        )

    def _say(self, text: str) -> Iterator[tuple[str, Annotation | None]]:
        if text:
            self._said += text
            yield text, None
            yield from self._find_links(ended=False)

    def _find_links(self, *, ended: bool) -> Iterator[tuple[str, Annotation | None]]:
        while self._links and (start := self._said.find(_LINK, self._scanned)) >= 0:
            rest = self._said[start:]
            if not ended and any(
                len(link) > len(rest) and link.startswith(rest) for link, _ in self._links
            ):
                return  # A longer link may still be coming.
            self._scanned = start + len(_LINK)
            for link, file_id in self._links:
                if rest.startswith(link):
                    self._scanned = start + len(link)
                    yield (
                        "",
                        FilePath(
                            text=link,
                            start_index=start,
                            end_index=start + len(link),
                            file_path=WrittenFile(file_id),
                        ),
                    )
                    break
