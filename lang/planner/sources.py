"""Plans the sources of a folder, each after the streams that it is stamped from."""

from collections.abc import Iterable

from headrace.lang.errors.report import Halt, Report
from headrace.lang.plan.source import CATALOGUE, Source
from headrace.lang.planner.source import plan_source
from headrace.lang.syntax.tree import Name, SourceTree


def plan_sources(declared: Iterable[tuple[SourceTree, Report]]) -> dict[str, Source]:
    """The valid sources by name, in the order of the files."""
    sources = _Sources(declared)
    return {name: source for name in sources.trees if (source := sources.planned(name)) is not None}


class _Sources:
    """Plans each source once, when it is first needed."""

    def __init__(self, declared: Iterable[tuple[SourceTree, Report]]) -> None:
        self.trees: dict[str, tuple[SourceTree, Report]] = {}
        self._planned: dict[str, Source | None] = {}
        self._in_progress: list[str] = []  # the sources being planned, each needed by the one before it
        for tree, report in declared:
            name = tree.name.text
            if name in self.trees or name == CATALOGUE:
                cause = f"{name} is the catalogue of items" if name == CATALOGUE else f"{name} is declared twice"
                report.add("F116", tree.name.span, cause=cause, fix="give it another name")
            else:
                self.trees[name] = (tree, report)

    def planned(self, name: str) -> Source | None:
        """The source of this name; None if it, or a source that it needs, has an error."""
        if name not in self._planned:
            tree, report = self.trees[name]
            self._in_progress.append(name)
            self._planned[name] = plan_source(tree, lambda table: self._table(table, report), report)
            self._in_progress.pop()
        return self._planned[name]

    def _table(self, name: Name, report: Report) -> Source:
        """Find the stream that a stamp names."""
        if name.text in self._in_progress:
            circle = " ← ".join([*self._in_progress[self._in_progress.index(name.text) :], name.text])
            cause = f"{circle} is a circle: a source can only be stamped from sources that do not depend on it"
            report.halt("F118", name.span, cause=cause, fix="remove one of these stamps")
        if name.text not in self.trees:
            others = self.trees.keys() - {*self._in_progress}
            report.unknown("table", name.text, (CATALOGUE, *others), name.span)
        source = self.planned(name.text)
        if source is None:
            raise Halt  # the error is reported where the source is declared
        return source
