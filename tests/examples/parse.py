"""Whether a real parser can read a program: `python parse.py go main.go`, among the tools."""

import importlib
import sys
from pathlib import Path

from tree_sitter import Language, Node, Parser


def main(language: str, path: str) -> str | None:
    """What is wrong, and where; nothing if the program can be read."""
    grammar = importlib.import_module(f"tree_sitter_{language}")
    source = Path(path).read_bytes()
    tree = Parser(Language(grammar.language())).parse(source)
    wrong = _wrong(tree.root_node)
    if wrong is None:
        return None
    return f"{path}:{wrong.start_point.row + 1}: cannot be read: {wrong.text!r}"


def _wrong(node: Node) -> Node | None:
    if node.is_error or node.is_missing:
        return node
    if not node.has_error:
        return None
    return next(filter(None, map(_wrong, node.children)), None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
