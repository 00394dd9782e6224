"""What teachers get is of the course as it stands."""

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


RUNBOOKS = sorted((ROOT / "workshop").glob("runbook_*.md"))


def steps(path):
    """``(start, end, the cells' column)`` of a runbook."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\| (\d+)–(\d+) \| ([^|]+) \|", line):
            yield int(found[1]), int(found[2]), found[3]


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
def test_the_minutes_of_a_runbook_leave_no_gap(path):
    rows = list(steps(path))
    assert rows[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(rows))
    assert rows[-1][1] == int(re.search(r"\d+", path.stem)[0])


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
def test_the_cells_of_a_runbook_are_under_the_heading_it_names(path):
    for _, _, cells in steps(path):
        if not (heading := re.search(r'"(.+?)"', cells)):
            continue
        chapter = cells[:2]
        (book,) = (ROOT / "chapters").glob(f"{chapter}_*.ipynb")
        number, under = 0, {}
        current = ""
        for cell in json.loads(book.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                number += 1
                under[number] = current
            else:
                current = next(iter(re.findall(r"^## (.+)$", "".join(cell["source"]), re.M)), current)
        asked = [int(n) for n in re.findall(r"In\[(\d+)\]", cells)]
        first, last = asked[-2 if "–" in cells else -1], asked[-1]
        assert under[last] == heading[1], (cells, under)
        assert all(under[n] in (heading[1], "") for n in range(first, last + 1)), cells
