"""Routes as a tree of path segments, built once from the table."""

from collections.abc import Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class Tree(Generic[T]):
    """Finds what stands behind a method and a path; a literal segment goes before a parameter."""

    def __init__(self) -> None:
        self.literal: dict[str, Tree[T]] = {}
        self.parameter: tuple[str, Tree[T]] | None = None
        self.methods: dict[str, T] = {}

    def add(self, method: str, path: str, target: T) -> None:
        node = self
        for segment in _segments(path):
            if segment.startswith("{"):
                name = segment[1:-1]
                if node.parameter is None:
                    node.parameter = (name, Tree())
                assert node.parameter[0] == name, path
                node = node.parameter[1]
            else:
                node = node.literal.setdefault(segment, Tree())
        assert method not in node.methods, path
        node.methods[method] = target

    def find(self, method: str, path: str) -> tuple[T | None, dict[str, str], Collection[str]]:
        """The target with its parameters, and all methods of the path: none where it is none."""
        found = self.descend(method, _segments(path), 0)
        if found is None:
            return None, {}, ()
        node, parameters = found
        return node.methods.get(method), parameters, node.methods.keys()

    def descend(
        self, method: str, segments: list[str], depth: int
    ) -> "tuple[Tree[T], dict[str, str]] | None":
        if depth == len(segments):
            return (self, {}) if self.methods else None
        best = None
        literal = self.literal.get(segments[depth])
        if literal is not None:
            best = literal.descend(method, segments, depth + 1)
            if best is not None and method in best[0].methods:
                return best
        if self.parameter is not None and segments[depth]:
            name, node = self.parameter
            found = node.descend(method, segments, depth + 1)
            if found is not None and (best is None or method in found[0].methods):
                # In the order of the path: the first that is wrong is the one to speak of.
                return found[0], {name: segments[depth], **found[1]}
        return best


def _segments(path: str) -> list[str]:
    # Slashes before a path, and one after it, come of how base URLs are glued to paths. Between
    # two others an id is missing.
    return path.lstrip("/").removesuffix("/").split("/")
