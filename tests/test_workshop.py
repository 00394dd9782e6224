"""What teachers get is of the course as it stands."""

import ast
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from simplex_lab.checks.spec import chapters, exercises
from tools import misconceptions

ROOT = Path(__file__).resolve().parent.parent


def test_the_tables_are_of_the_wrong_answers_as_they_stand():
    found = subprocess.run([sys.executable, "-m", "tools.misconceptions", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("chapter", chapters())
def test_every_known_mistake_has_a_row_with_a_belief(chapter):
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", misconceptions.table(chapter), re.M)
    rows = [row for row in rows if row[0] != "they believe"]
    assert len(rows) == sum(len(e.mistakes) for e in exercises(chapter).values())
    assert all(belief.strip() for belief, _, _ in rows)


def test_what_is_written_by_hand_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(misconceptions, "NOTES", tmp_path)
    (tmp_path / "03.md").write_text(f"by hand\n{misconceptions.BEGIN}\nold\n{misconceptions.END}\nand below\n", encoding="utf-8")
    text = misconceptions.written("03")
    assert text.startswith("by hand\n")
    assert text.endswith("\nand below\n")
    assert "old" not in text
    assert "03.2" in text


@pytest.mark.parametrize("chapter", chapters())
def test_the_notes_on_a_chapter_name_its_cells(chapter):
    by_hand = (misconceptions.NOTES / f"{chapter}.md").read_text(encoding="utf-8").partition(misconceptions.BEGIN)[0]
    assert re.findall(r"^## (.+)$", by_hand, re.M)[:5] == ["Time", "The one thing", "Ask", "Where people get stuck", "Cut"]
    assert len(re.findall(r"\S*\w\S*", by_hand)) <= 350
    under = headings(chapter)
    for number, heading in re.findall(r'In\[(\d+)\](?: "([^"]+)")?', by_hand):
        assert int(number) in under
        assert heading in ("", under[int(number)]), (number, heading)
    assert set(re.findall(r"\d\d\.\d", by_hand.partition("## The one")[0])) >= set(exercises(chapter)), "a time for each exercise"


RUNBOOKS = sorted((ROOT / "workshop").glob("runbook_*.md"))


def tables(path):
    """``(minutes promised above it, [(start, end, the cells' column), ...])`` of each table of a runbook."""
    promised, rows, found = None, [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if told := re.match(r"(\d+) minutes", line):
            promised, rows = int(told[1]), []
            found.append((promised, rows))
        if row := re.match(r"\| (\d+)–(\d+) \| ([^|]+) \|", line):
            rows.append((int(row[1]), int(row[2]), row[3]))
    return found


def steps(path):
    return [row for _, rows in tables(path) for row in rows]


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
def test_the_minutes_of_a_runbook_leave_no_gap(path):
    assert tables(path)
    for promised, rows in tables(path):
        assert rows[0][0] == 0
        assert all(start < end for start, end, _ in rows)
        assert all(before[1] == after[0] for before, after in pairwise(rows))
        assert rows[-1][1] == promised


def test_every_row_of_the_ninety_minutes_has_time_to_spare():
    """The table of needs adds up, belongs to the rows above it, and leaves 15% in each row and five minutes at the end."""
    path = ROOT / "workshop" / "runbook_90_minutes.md"
    ((_, rows),) = tables(path)
    needs = re.findall(r"^\| (\d+) " + r"\| ([\d.]+) " * 6 + r"\| (\d+)% \|$", path.read_text(encoding="utf-8"), re.M)
    assert [(int(start), int(start) + int(has)) for start, has, *_ in needs] == [(a, b) for a, b, _ in rows[:-1]]
    for start, *numbers in needs:
        has, said, read, seconds, hands, minutes, spare = map(float, numbers)
        assert abs(minutes - (said / 130 + read / 200 + seconds / 60 + hands)) <= 0.06, start
        assert abs(spare - 100 * (1 - minutes / has)) <= 0.6, start
        assert spare >= 15, start
    assert rows[-1][1] - rows[-1][0] >= 5


def headings(chapter):
    """``{number of a code cell: the heading it stands under}``."""
    (book,) = (ROOT / "chapters").glob(f"{chapter}_*.ipynb")
    number, under, current = 0, {}, ""
    for cell in json.loads(book.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            under[number] = current
        else:
            current = [current, *re.findall(r"^## (.+)$", "".join(cell["source"]), re.M)][-1]
    return under


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
def test_the_cells_of_a_runbook_are_where_it_says(path):
    for _, _, cells in steps(path):
        if found := re.match(r'(\d\d) In\[(\d+)\](?:–In\[(\d+)\])?(?: "(.+)")?$', cells):
            chapter, first, last, heading = found.groups()
            under = headings(chapter)
            wanted = range(int(first), int(last or first) + 1)
            assert set(wanted) <= set(under), cells
            if heading:
                assert {under[n] for n in wanted} <= {heading, ""}, (cells, under)
                assert under[wanted[-1]] == heading
        elif found := re.match(r"exercise (\d\d\.\d)", cells):
            assert all(id in exercises(id[:2]) for id in re.findall(r"\d\d\.\d", cells)), cells
        else:
            assert re.match(r"none$|break$|lunch$|\d\d In\[\d+\], then", cells), cells


def code(chapter):
    (book,) = (ROOT / "chapters").glob(f"{chapter}_*.ipynb")
    cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
    return dict(enumerate(("".join(c["source"]) for c in cells if c["cell_type"] == "code"), start=1))


def names(source, kind):
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and isinstance(node.ctx, kind)}


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
def test_what_a_runbook_cuts_is_in_the_row_and_is_not_missed(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        columns = re.split(r"\s*\|\s*", line)[1:-1]
        if not columns or not re.match(r"\d+–\d+$", columns[0]):
            continue
        cut = [int(n) for n in re.findall(r"In\[(\d+)\]", columns[-1])]
        shown = [int(n) for n in re.findall(r"In\[(\d+)\]", columns[1])]
        assert all(shown[0] <= n <= shown[-1] for n in cut), line
        if cut and "run it" not in columns[-1]:
            cells = code(columns[1][:2])
            lost = set().union(*(names(cells[n], ast.Store) for n in cut))
            for n in range(cut[-1] + 1, shown[-1] + 1):
                own = names(cells[n], ast.Store)
                assert not lost & (names(cells[n], ast.Load) - own), (line, n, lost)
                lost -= own
