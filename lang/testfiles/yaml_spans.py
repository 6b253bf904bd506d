"""Loads YAML 1.2 with the position of each value in the file.

In YAML 1.2 `12:00:00`, `2026-01-02`, `no` and `007` are text; YAML 1.1 reads a number, a date, false and 7.
"""

# pyright: reportUnknownMemberType=false
# PyYAML's constructors and resolvers have no types.
import re
from collections.abc import Iterator
from typing import cast

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from headrace.lang.errors.report import Report

_STEPS = re.compile(r"\.(\w+)|\[(\d+)\]")
_PLAIN = {
    "null": (r"~|null|", ["~", "n", ""]),
    "bool": (r"true|false", ["t", "f"]),
    "int": (r"[-+]?(0|[1-9][0-9_]*)", [*"-+0123456789"]),
    "float": (r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
}


class _Loader(yaml.SafeLoader):
    pass


_Loader.yaml_implicit_resolvers = {}  # without those of YAML 1.1
for _kind, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first)


def load_yaml(report: Report) -> tuple[object, Node | None]:
    """Load the report's text: its value, and the node tree with positions.

    Raises:
        Halt: the text is not YAML; the error is in the report.
    """
    loader = _Loader(report.text)
    try:
        tree = loader.get_single_node()
        return (None if tree is None else cast("object", loader.construct_document(tree))), tree
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        cause = " ".join(filter(None, (error.problem, error.context)))
        fix = "fix it there or just above; quote values that contain `: ` or start with a special character"
        report.halt("F100", (mark.index if mark else 0, 1), cause=f"this is not valid YAML: {cause}", fix=fix)
    except yaml.reader.ReaderError as error:
        cause = f"this is not valid YAML: character {error.character!r} is not allowed"
        report.halt("F100", (error.position, 1), cause=cause, fix="remove it")


def span_of(node: Node) -> tuple[int, int]:
    """Offset and length of a value."""
    return node.start_mark.index, node.end_mark.index - node.start_mark.index


def entries(node: Node) -> list[tuple[ScalarNode, Node]]:
    """Keys and values of a mapping, in order; empty for other nodes."""
    return cast("list[tuple[ScalarNode, Node]]", node.value) if isinstance(node, MappingNode) else []


def elements(node: Node) -> list[Node]:
    """The values of a list; empty for other nodes."""
    return cast("list[Node]", node.value) if isinstance(node, SequenceNode) else []


def find_entry(node: Node, name: str) -> tuple[ScalarNode, Node] | None:
    """The key and value of this name in a mapping, or None."""
    return next((each for each in entries(node) if each[0].value == name), None)


def find_node(node: Node, path: str) -> Node:
    """The node at a path such as `$.expect[0]`, or its closest existing ancestor."""
    for name, number in _STEPS.findall(path):
        found = find_entry(node, name) if name else None
        children = elements(node)
        if found is not None:
            node = found[1]
        elif number and int(number) < len(children):
            node = children[int(number)]
        else:
            return node
    return node


def duplicate_keys(node: Node) -> Iterator[ScalarNode]:
    """Repeated keys of every mapping; YAML keeps only the last value of a key."""
    seen: set[object] = set()
    for key, value in entries(node):
        if key.value in seen:
            yield key
        seen.add(key.value)
        yield from duplicate_keys(value)
    for child in elements(node):
        yield from duplicate_keys(child)


def text_offset(node: ScalarNode, offset: int, text: str) -> int | None:
    """The position in the file `text` of an offset in a literal block (`|`); None for other styles."""
    if node.style != "|":
        return None
    value = cast("str", node.value)
    line_number = value.count("\n", 0, offset)
    start = node.start_mark.index
    for _ in range(line_number + 1):
        start = text.index("\n", start) + 1
    end = text.find("\n", start)
    written = text[start:] if end < 0 else text[start:end]
    line_start = value.rfind("\n", 0, offset) + 1
    line = value[line_start:].split("\n", 1)[0]
    return start + len(written) - len(line) + offset - line_start
