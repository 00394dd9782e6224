"""What teachers get is of the course as it stands."""

import re
import subprocess
import sys
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
