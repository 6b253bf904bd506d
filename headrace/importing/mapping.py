"""Which column of a file, or which constant, becomes which column of the stream or of the catalogue."""

from collections.abc import Sequence
from difflib import get_close_matches
from hashlib import blake2b

from msgspec import Struct

from headrace.errors import UsageProblem


class ColumnMapping(Struct, frozen=True):
    """Columns of a file and constants, by the column that they become; `context.country` is an entry of a map.

    `values`: by column, what texts of the file become.
    """

    columns: dict[str, str]
    constants: dict[str, str]
    values: dict[str, dict[str, str]] = {}

    @property
    def fingerprint(self) -> str:
        """A hash: the same file with another mapping is another import."""
        values = {(column, text): value for column, texts in self.values.items() for text, value in texts.items()}
        ordered = [sorted(self.columns.items()), sorted(self.constants.items()), sorted(values.items())]
        return blake2b(repr(ordered).encode(), digest_size=4).hexdigest()


def parse_mapping(columns: str, constants: Sequence[str], values: Sequence[str] = ()) -> ColumnMapping:
    """Parse `user_id=customer,item_id=sku`, constants such as `event_type=click`, and `event_type.Kauf=purchase`.

    Raises:
        UsageProblem: a part is not `column=…`, or a column is named twice.
    """
    translated: dict[str, dict[str, str]] = {}
    for name, value in _pairs("--value", values).items():
        column, _, text = name.partition(".")
        translated.setdefault(column, {})[text] = value
    found = ColumnMapping(
        _pairs("--map", columns.split(",") if columns else ()), _pairs("--set", constants), translated
    )
    if both := sorted(found.columns.keys() & found.constants.keys()):
        message = f"{', '.join(both)} is in --map and in --set; name it in one of them"
        raise UsageProblem(message)
    return found


def _pairs(option: str, parts: Sequence[str]) -> dict[str, str]:
    split = [part.partition("=") for part in parts]
    pairs = [(name.strip(), value.strip()) for name, _, value in split]
    for (name, value), part in zip(pairs, parts, strict=True):
        if not name or not value:
            message = f"{option} has {part!r}; write column=…, such as {option} user_id=customer"
            raise UsageProblem(message)
        if sum(other == name for other, _ in pairs) > 1:
            message = f"{option} names {name} twice"
            raise UsageProblem(message)
    return dict(pairs)


def resolve(
    mapping: ColumnMapping, *, names: Sequence[str], targets: Sequence[str], maps: Sequence[str], file: str
) -> ColumnMapping:
    """Complete a mapping for one file: a column that nothing is named for comes from the column of the same name.

    Args:
        mapping: as given.
        names: the columns of the file.
        targets: the columns that can be filled.
        maps: those of them that are maps, whose entries can be filled too.
        file: its name, for errors.

    Raises:
        UsageProblem: a column does not exist on one of the two sides.
    """
    unknown = [
        name for name in (*mapping.columns, *mapping.constants, *mapping.values) if not _is_target(name, targets, maps)
    ]
    problems = [f"there is no column {name} to fill; {_nearest(name, targets)}" for name in unknown]
    missing = dict.fromkeys(name for name in mapping.columns.values() if name not in names)
    problems += [f"{file} has no column {name}; {_nearest(name, names)}" for name in missing]
    if problems:
        raise UsageProblem("; ".join(problems))
    filled = {*mapping.columns, *mapping.constants}
    equal = {name: name for name in targets if name in names and name not in filled}
    return ColumnMapping({**equal, **mapping.columns}, mapping.constants, mapping.values)


def _is_target(name: str, targets: Sequence[str], maps: Sequence[str]) -> bool:
    column, _, entry = name.partition(".")
    return column in maps if entry else name in targets


def _nearest(name: str, names: Sequence[str]) -> str:
    by_case = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), by_case, n=1, cutoff=0.5)
    return f"did you mean {by_case[close[0]]}?" if close else f"it has {', '.join(names)}" if names else "it has none"
