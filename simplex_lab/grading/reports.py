"""Grades as JSON, CSV and JUnit, and a line for each submission."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from xml.etree import ElementTree

from simplex_lab.grading.grade import Row

NAMES = ("grades.json", "grades.csv", "grades.xml")


def write(folder: str | Path, rows: Sequence[Row], isolation: str) -> list[Path]:
    """Write all three into ``folder``; the JSON says how submissions were kept apart, too."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in NAMES]
    submissions = [{"submission": name} | score(own) | {"exercises": [asdict(r) for r in own]} for name, own in by_submission(rows).items()]
    paths[0].write_text(json.dumps({"isolation": isolation, "submissions": submissions}, indent=1), encoding="utf-8")
    with paths[1].open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([f.name for f in fields(Row)])
        table.writerows([_harmless(value) for value in asdict(row).values()] for row in rows)
    _junit(rows).write(paths[2], encoding="utf-8", xml_declaration=True)
    return paths


def by_submission(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.submission, []).append(row)
    return found


def score(rows: Sequence[Row]) -> dict[str, int]:
    return {"passed": sum(r.status == "passed" for r in rows), "of": sum(bool(r.exercise) for r in rows)}


def as_text(rows: Sequence[Row]) -> str:
    """One line a submission, and below it one for each exercise that did not pass."""
    lines = []
    for name, own in by_submission(rows).items():
        lines.append(f"{name}: {score(own)['passed']} of {score(own)['of']}")
        for row in own:
            if row.status != "passed":
                why = f"{row.rung}, {row.diagnosis}: {row.says}" if row.status == "failed" else row.says
                lines.append(f"  {row.exercise or '     '}  {row.status:13s} {why}"[:160])
    return "\n".join(lines)


def _harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _junit(rows: Sequence[Row]) -> ElementTree.ElementTree:
    root = ElementTree.Element("testsuites")
    for name, own in by_submission(rows).items():
        count = {"tests": len(own), "failures": sum(r.status in ("failed", "missing") for r in own)}
        count |= {
            "errors": sum(r.status in ("stopped", "unreadable") for r in own),
            "skipped": sum(r.status == "not attempted" for r in own),
        }
        suite = ElementTree.SubElement(root, "testsuite", {"name": name} | {k: str(v) for k, v in count.items()})
        for row in own:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=row.exercise or "notebook", time=f"{row.seconds:.2f}")
            kind = {"failed": "failure", "missing": "failure", "stopped": "error", "unreadable": "error", "not attempted": "skipped"}
            if row.status != "passed":
                ElementTree.SubElement(
                    case, kind[row.status], message=" ".join(filter(None, (row.status, row.rung, row.diagnosis, row.says)))
                )
    return ElementTree.ElementTree(root)
