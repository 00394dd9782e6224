"""Tables of what learners get wrong, from ``tests/wrong`` and the exercises: ``python -m tools.misconceptions [--check]``.

Each wrong answer says what its author believes. A table has a row for each known mistake of an exercise: the beliefs that lead there, how
the check names it, and the question it asks. They stand in ``workshop/notes/NN.md`` between two marks; the rest of those files is written
by hand.
"""

import argparse
import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

from simplex_lab.checks.spec import chapters, exercises

ROOT = Path(__file__).resolve().parent.parent
NOTES = ROOT / "workshop" / "notes"
BEGIN, END = "<!-- misconceptions: made by tools/misconceptions.py -->", "<!-- end of misconceptions -->"


def beliefs() -> dict[tuple[str, str], list[str]]:
    """``{(exercise, diagnosis): what the authors of such answers believe}``."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests" / "wrong").glob("*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        told = dict(re.findall(r"^(\w+): (.+)$", doc, flags=re.MULTILINE))
        found[told["exercise"], told["diagnosis"]].append(doc.splitlines()[0])
    return found


def table(chapter: str) -> str:
    """A section for each exercise of a chapter, a row for each of its known mistakes."""
    believed, lines = beliefs(), []
    for id, exercise in exercises(chapter).items():
        lines += [f"### {id} {exercise.title}", "", "| they believe | the check says | and asks |", "|---|---|---|"]
        for mistake in exercise.mistakes:
            what = " / ".join(believed[id, mistake.name])
            lines.append(f"| {_cell(what)} | {_cell(mistake.says)} | {_cell(mistake.asks)} |")
        lines.append("")
    return "\n".join(lines).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def written(chapter: str) -> str:
    """The notes of a chapter with its table as it should stand now."""
    path = NOTES / f"{chapter}.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Notes on chapter {chapter}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n## What learners get wrong\n\n{table(chapter)}\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a table is not as it should be")
    args, stale = parser.parse_args(), []
    NOTES.mkdir(parents=True, exist_ok=True)
    for chapter in chapters():
        path, text = NOTES / f"{chapter}.md", written(chapter)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT))
            if not args.check:
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path}: {'is not as tests/wrong says: run python -m tools.misconceptions' if args.check else 'written'}")
    return 1 if stale and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
