"""The page of an evaluation: it needs no other file, shows the report's numbers, and takes no text for markup."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from headrace.cli import app
from headrace.errors import UsageProblem
from headrace.evaluation.outputs import Outputs

EMPTY = {"meta", "link", "br", "img", "hr", "input"}
ODD = "<script>alert(1)</script>"
BEGIN_S = 1_700_000_000


class Page(HTMLParser):
    """A parsed page; each element must be closed in its place."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._table = ""
        self.feed(self.text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "table":
            self._table = dict(attrs).get("id") or f"table {len(self.tables)}"
            self.tables[self._table] = []
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[self._table][-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")


def log_of(path: Path, rows: int = 500) -> Path:
    """A log with a column, a file and items whose names are markup."""
    rng = np.random.default_rng(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "what", "when", "clicked", ODD])
        for n in range(rows):
            item = f'"><img src=x onerror=alert({rng.integers(12)})>'
            writer.writerow([f"u{rng.integers(30)}", item, BEGIN_S + n * 600, int(rng.random() < 0.4), "a&b<i>"])
    return path


def evaluate(*arguments: str) -> None:
    app(["evaluate", *arguments], exit_on_error=False, result_action="return_value")


def evaluated(folder: Path, *arguments: str) -> tuple[Page, dict]:
    page, document = folder / "page.html", folder / "report.json"
    evaluate(str(log_of(folder / "<b>.csv")), "--report", str(page), "--json", str(document), *arguments)
    return Page(page), json.loads(document.read_bytes())


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, dict]:
    columns = f"user=who,item=what,time=when,label=clicked,slate={ODD}"
    return evaluated(tmp_path_factory.mktemp("clicks"), "--map", columns, "--lag", "3600", "--without", "user_pace")


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, dict]:
    columns = ("--map", "user=who,item=what,time=when", "--task", "rank", "--repeats", "--top", "5")
    return evaluated(tmp_path_factory.mktemp("ranked"), *columns)


@pytest.fixture(params=["clicks", "ranked"])
def page(request: pytest.FixtureRequest) -> Page:
    return request.getfixturevalue(request.param)[0]


def test_it_needs_no_other_file_and_runs_nothing(page: Page) -> None:
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "image", "base", "form"}
    named = [value for name, value in page.attributes if name.removeprefix("xlink:") in ("src", "href", "action")]
    assert named
    assert all(value.startswith("#") for value in named)
    assert not re.search(r"https?:|@import|url\((?!#)", page.text)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_text_of_the_log_is_not_markup(page: Page) -> None:
    assert ODD not in page.text
    assert ODD in {row[0] for rows in page.tables.values() for row in rows}  # as text, in the table of the columns
    assert any("<img src=x" in row[-1] for rows in page.tables.values() for row in rows)
    assert not page.tags & {"b", "i"}


def test_ids_are_unique_and_references_lead_to_one(page: Page) -> None:
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    found = {value.removeprefix("#") for name, value in page.attributes if name == "href"}
    found |= set(re.findall(r"url\(#([^)]+)\)", page.text))
    assert found
    assert found <= set(ids)


def test_every_chart_is_described_in_words(page: Page) -> None:
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert len(labels) == page.text.count("<svg") == 3
    assert all(re.search(r"\d\.\d{3}", label) for label in labels)


def written(figure: dict | None) -> str:
    return f"{figure['value']:.4f} ± {figure['error']:.4f}" if figure else ""


def test_the_tables_have_the_numbers_of_the_report(page: Page, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["page"]
    report = request.getfixturevalue(name)[1]
    parts = report["breakdown"]
    header, *rows = page.tables["models"]
    models = {row[0].removesuffix(" s old"): row[1:] for row in rows}
    assert models == {
        model: [written(figures.get(metric)) for metric in header[1:]] for model, figures in parts["models"].items()
    }
    assert header[1:] == list(report["metrics"])
    header, *rows = page.tables["buckets"]
    compared = ["headrace", "frozen", parts["best_baseline"]]
    assert header[-3:] == compared
    expected = [[written(each["part"]["figures"].get(model)) for model in compared] for each in parts["buckets"]]
    assert [row[-3:] for row in rows] == expected
    segments = [row for table in page.tables.values() for row in table if table[0][0] == "segment" and row != table[0]]
    assert [(row[0], row[1], row[-3]) for row in segments] == [
        (each["name"], f"{each['part']['rows']:,}", written(each["part"]["figures"].get("headrace")))
        for each in parts["segments"]
    ]


def test_the_page_of_a_label_shows_calibration_and_what_groups_are_worth(clicks: tuple[Page, dict]) -> None:
    page, report = clicks
    assert "sources" not in page.tables
    shown = [[float(cell) for cell in row] for row in page.tables["calibration"][1:]]
    bins = [list(each.values()) for each in report["breakdown"]["calibration"]]
    assert np.array(shown) == pytest.approx(np.array(bins), abs=5e-5)
    (row,) = page.tables["without"][1:]
    assert row == ["user_pace", "log_loss", *(f"{report['without'][key]:{form}}" for key, form in DIFFERENCE.items())]
    assert "3600 s old" in [row[0] for row in page.tables["models"]]


DIFFERENCE = {"difference": "+.5f", "error": ".5f"}


def test_the_page_of_ranks_shows_the_candidate_sources(ranked: tuple[Page, dict]) -> None:
    page, report = ranked
    assert not page.tables.keys() & {"calibration", "without"}
    expected = [
        [each["name"], f"{100 * each['share']:.1f} %", f"{100 * each['alone']:.1f} %", f"{each['candidates']:.1f}"]
        for each in report["breakdown"]["sources"]["each"]
    ]
    assert page.tables["sources"][1:] == expected
    headline = f"recall@5 {report['metrics']['recall@5']:.4f} ± {report['standard_errors']['recall@5']:.4f}"
    assert headline in page.text


def test_a_log_of_few_rows_has_a_page_without_those_charts(tmp_path: Path) -> None:
    log, path = log_of(tmp_path / "x.csv", 30), tmp_path / "page.html"
    evaluate(
        str(log),
        "--map",
        "user=who,item=what,time=when,label=clicked",
        "--report",
        str(path),
    )
    page = Page(path)
    assert page.text.count("<svg") == 1
    assert not page.tables.keys() & {"buckets", "calibration"}


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_a_file_that_cannot_be_written_is_refused_before_the_log_is_read(option: str, tmp_path: Path) -> None:
    """The log does not exist, and that is not what the error says."""
    for path, why in ((tmp_path / "no" / "out", "there is no folder"), (tmp_path, "which is a folder")):
        with pytest.raises(UsageProblem, match=f"{option} is {path}, .*{why}"):
            evaluate("none.csv", "--map", "user=a,item=b,time=c,label=d", option, str(path))
    Outputs(json=tmp_path / "new.json", report=tmp_path / "new.html").check()


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_named_before_the_log_is_read(package: str, tmp_path: Path) -> None:
    program = f"import sys; from headrace import cli; sys.modules['{package}'] = None; sys.exit(cli.main())"
    command = [sys.executable, "-c", program, "evaluate", "none.csv", "--map", "user=a,item=b,time=c,label=d"]
    done = subprocess.run([*command, "--report", str(tmp_path / "x.html")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"needs {package}, which is not installed: pip install 'headrace[report]'" in " ".join(done.stderr.split())


def test_a_log_without_scored_rows_has_a_page_that_says_so(tmp_path: Path) -> None:
    """Each session has one row, so task next scores none."""
    log, path = tmp_path / "x.csv", tmp_path / "page.html"
    rows = (f"u{n},i{n % 7},{BEGIN_S + n * 86_400}\n" for n in range(40))
    log.write_text("who,what,when\n" + "".join(rows), encoding="utf-8")
    evaluate(str(log), "--map", "user=who,item=what,time=when", "--task", "next", "--report", str(path))
    page = Page(path)
    assert "The 0 scored rows do not determine hr@10." in page.text
    assert "<svg" not in page.text
