"""Reads code with real parsers: JSON in, what could not be read out. Runs among the tools.

It is no part of our own environment: see `tests/kit/environments.py`.
"""

import json
import sys

import tree_sitter_c_sharp
import tree_sitter_dart
import tree_sitter_go
import tree_sitter_java
import tree_sitter_objc
import tree_sitter_ocaml
import tree_sitter_php
import tree_sitter_ruby
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

_GRAMMARS = {
    "csharp": tree_sitter_c_sharp.language,
    "dart": tree_sitter_dart.language,
    "go": tree_sitter_go.language,
    "java": tree_sitter_java.language,
    "objc": tree_sitter_objc.language,
    "ocaml": tree_sitter_ocaml.language_ocaml,
    "php": tree_sitter_php.language_php,
    "ruby": tree_sitter_ruby.language,
    "swift": tree_sitter_swift.language,
}


def main() -> None:
    texts: dict[str, list[str]] = json.load(sys.stdin)
    told = {language: _unread(language, texts[language]) for language in _GRAMMARS}
    json.dump(told, sys.stdout)


def _unread(language: str, texts: list[str]) -> list[str]:
    parser = Parser(Language(_GRAMMARS[language]()))
    unread = []
    for text in texts:
        root = parser.parse(text.encode()).root_node
        if root.has_error:
            line = _broken(root).start_point[0]
            unread.append(f"line {line + 1} of: {text}")
    return unread


def _broken(node: Node) -> Node:
    """The innermost place where reading broke off."""
    inner = next((child for child in node.children if child.has_error or child.is_missing), None)
    return node if inner is None else _broken(inner)


if __name__ == "__main__":
    main()
