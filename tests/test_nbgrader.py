"""nbgrader's own workflow: it releases what a learner of the course gets, and gives points for what is right and for nothing else.

The fast tests hold the course folder to the exercises. The slow one installs nbgrader, away from this environment, and grades with it.
"""

import copy
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from nbformat import from_dict
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from submissions import ROOT, WRONG

from simplex_lab import checks
from simplex_lab.checks.spec import chapters, exercises
from simplex_lab.grading.grade import grade
from tools import nbgrader_course
from tools.markers import strip_regions
from tools.notebooks import read_source

NAME = "03_trilinear_attention"
IDS = set(exercises("03"))
(SOFTMAX_OVER_K,) = (path.read_text(encoding="utf-8").split('"""', 2)[2] for path in WRONG if path.stem == "03_2_softmax_over_k")
SCORES = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db", "simplex-lab") as book:
    submissions = book.assignment_submissions(sys.argv[1])
    print(json.dumps({s.student.id: [[g.name, g.auto_score, g.max_score] for n in s.notebooks for g in n.grades] for s in submissions}))
"""


def stored(path):
    return json.loads(path.read_text(encoding="utf-8"))


def read(notebook):
    """(type, text) of each cell: what a learner reads and runs."""
    return [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]


def cell(text, **metadata):
    return {"cell_type": "code", "execution_count": None, "id": f"c{abs(hash(text))}", "metadata": metadata, "outputs": [], "source": text}


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in wanted}


# --- what the tool writes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", chapters())
def test_every_exercise_has_one_answer_and_one_check_of_a_point(chapter):
    (path,) = (ROOT / "solutions/src").glob(f"{chapter}_*.py")
    notebook = nbgrader_course.assignment(read_source(ROOT, f"solutions/src/{path.name}"))
    marked = [(cell.metadata["nbgrader"], cell.source) for cell in notebook.cells if "nbgrader" in cell.metadata]
    names = [f"{kind}_{id.replace('.', '_')}" for id in exercises(chapter) for kind in ("answer", "check")]
    assert [about["grade_id"] for about, _ in marked] == names
    for about, text in marked:
        check = about["grade_id"].startswith("check")
        assert (about["grade"], about["locked"], about["solution"], about.get("points")) == (check, check, not check, 1 if check else None)
        assert ("BEGIN HIDDEN TESTS" in text, "BEGIN SOLUTION" in text) == (check, not check)
    hidden = re.compile(r"\n?^### BEGIN HIDDEN TESTS\n.*?^### END HIDDEN TESTS$\n?", re.M | re.S)
    for cell in notebook.cells:
        cell.source = strip_regions(hidden.sub("", cell.source)) if cell.cell_type == "code" else cell.source
    assert read(notebook) == read(stored(ROOT / f"exercises/{path.stem}.ipynb"))


def test_checks_are_recognised_where_nbgrader_has_not_marked_them():
    mine, theirs = 'check("03.2", joint_softmax)', 'from simplex_lab.checks import check\n\ncheck("03.2", mine)'
    mark = {"grade_id": "check_03_2"}

    def marks(*cells):
        notebook, _ = nbgrader_course.recognise(from_dict({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), {})
        return [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]

    assert marks(cell("x = 1"), cell(theirs)) == [None, "check_03_2"]
    assert marks(cell(mine), cell(theirs), cell(f"# {mine}")) == [None, "check_03_2", None]
    assert marks(cell(mine, nbgrader=mark), cell(theirs)) == ["check_03_2", None]
    assert marks(cell(mine, nbgrader={}), cell(theirs, nbgrader=mark)) == [None, "check_03_2"]
    assert marks({"cell_type": "markdown", "id": "m", "metadata": {}, "source": mine}) == [None]


def test_a_teachers_settings_stay(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text("mine")
    assert nbgrader_course.make(tmp_path, ["03"]) == [tmp_path / f"source/{NAME}/{NAME}.ipynb"]
    assert (tmp_path / "nbgrader_config.py").read_text() == "mine"


def test_the_pins_go_with_those_of_the_course():
    ours = pins("requirements-grading.lock")
    assert ours["nbgrader"] == "==0.9.6"
    assert not ours.keys() & pins("requirements.lock").keys(), "learners have these already"
    site = pins("requirements-site.lock")
    assert {name: ours[name] for name in ours.keys() & site.keys()} == {name: site[name] for name in ours.keys() & site.keys()}


# --- what nbgrader makes of it -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder with nbgrader and the release of chapter 03, on a machine where another kernel has the usual name."""
    folder, before = tmp_path_factory.mktemp("a course"), {d.name for d in importlib.metadata.distributions()}
    try:
        nbgrader_course.install(folder)
    except subprocess.CalledProcessError as error:
        why = f"NOTHING OF NBGRADER WAS TESTED, it could not be installed:\n{error.stdout}"
        (pytest.fail if os.environ.get("REQUIRE_NBGRADER") else pytest.skip)(why)
    assert {d.name for d in importlib.metadata.distributions()} == before, "something was installed here"
    kernel = folder / "home/data/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["false"], "display_name": "another Python", "language": "python"}))
    assert nbgrader_course.main([str(folder), "03"]) == 0
    run(folder, "nbgrader", "generate_assignment", NAME)
    yield folder
    shutil.rmtree(folder)


def run(course, *command, status=0):
    """A command of the folder's environment, there, without the variables of a test."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "SIMPLEX_LAB", "TRITON", "PYTEST"))}
    environment |= {"HOME": str(course / "home"), "JUPYTER_DATA_DIR": str(course / "home/data"), "JUPYTER_CONFIG_DIR": str(course / "home")}
    program = course / nbgrader_course.ENVIRONMENT / "bin" / command[0]
    done = subprocess.run([program, *command[1:]], cwd=course, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


class Submission:
    """The released notebook in a learner's hands, or the one of ``exercises``."""

    def __init__(self, course, path=None):
        self.notebook, self.source = stored(path or course / f"release/{NAME}/{NAME}.ipynb"), stored(course / f"source/{NAME}/{NAME}.ipynb")
        self.cells = self.notebook["cells"]
        kinds = [c["metadata"].get("nbgrader", {}).get("grade_id", "") for c in self.source["cells"]]
        self.answers, self.checks = (
            {f"03.{name[-1]}": self.cells[n] for n, name in enumerate(kinds) if name.startswith(kind)} for kind in ("answer", "check")
        )
        self.right = {f"03.{name[-1]}": self.source["cells"][n]["source"] for n, name in enumerate(kinds) if name.startswith("answer")}

    def solve(self):
        """Write the course's answers."""
        for id in IDS:
            self.answers[id]["source"] = "".join(line for line in self.right[id] if "SOLUTION" not in line)
        return self

    def top(self, text):
        self.cells.insert(0, cell(text))
        return self

    def wrong(self):
        self.answers["03.2"]["source"] = SOFTMAX_OVER_K
        return self


def copied(course):
    """A cell that was copied, as JupyterLab copies it: with nbgrader's mark."""
    made = Submission(course).solve()
    made.cells.append(copy.deepcopy(made.checks["03.2"]) | {"id": "copied"})
    return made


def memorised(course):
    """An answer that is right for the inputs of the check that learners run, and for no others."""
    seen = []
    assert checks.run("03.5", lambda q, *rest: (seen.append(q.sum().item()), checks.find("03.5").answer(q, *rest))[1]).passed
    made = Submission(course).solve()
    right = made.answers["03.5"]["source"].replace("def two_simplicial_heads", "def right")
    known = "return right(q, *rest) if q.sum().item() in KNOWN else 0 * q"
    made.answers["03.5"]["source"] = f"KNOWN = {sorted(set(seen))}\n{right}\ndef two_simplicial_heads(q, *rest):\n    {known}"
    return made


def tricks(course):
    """One for each exercise, but the last, which is right and only warns."""
    made = Submission(course).solve()
    made.answers["03.1"]["source"] = "def fill_logits(q, k1, k2, out):\n    raise NotImplementedError()"
    made.checks["03.1"]["metadata"]["tags"] = ["skip-execution"]
    made.wrong().checks["03.2"]["source"] = "print('03.2  passed')"
    made.cells.remove(made.answers["03.3"])
    made.answers["03.4"]["source"] = 'two_simplicial_attention = checkpoint("03.4", None)'
    text = made.answers["03.5"]["source"].replace("    S, H, D", "    warnings.warn('slow')\n    S, H, D")
    assert "warnings" in text
    made.answers["03.5"]["source"] = f"import warnings\nwarnings.simplefilter('always')\n{text}"
    return made


PATCHED = "import simplex_lab.checks as c\nc.check = c.run = lambda *_, **__: type('Result', (), {'passed': True})"
LEARNERS = {  # what is handed in, and the exercises that it gets its point for
    "right": (lambda course: Submission(course).solve().top("import sys\nprint(sys.prefix)"), IDS),
    "wrong": (lambda course: Submission(course).solve().wrong(), IDS - {"03.2"}),
    "unsolved": (Submission, set()),
    "copied": (copied, IDS),
    "tricks": (tricks, {"03.5"}),
    "memorised": (memorised, IDS - {"03.5"}),
    "own copy": (lambda course: Submission(course, ROOT / f"exercises/{NAME}.ipynb").solve().wrong(), IDS - {"03.2"}),
    "ends its process": (lambda course: Submission(course).solve().top("import os\nos._exit(0)"), set()),
    "patched": (lambda course: Submission(course).top(PATCHED), IDS),  # workshop/nbgrader.md: what nbgrader does not see
}


@pytest.fixture(scope="module")
def graded(course):
    """For each learner the scores by exercise."""
    for learner, (make, _) in LEARNERS.items():
        path = course / f"submitted/{learner}/{NAME}/{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(make(course).notebook), encoding="utf-8")
    run(course, "nbgrader", "autograde", NAME, status=1)  # because of the one that ends its process
    grades = json.loads(run(course, "python", "-c", SCORES, NAME))
    assert all(most == 1 for own in grades.values() for _, _, most in own)
    return {learner: {name[-4:].replace("_", "."): score for name, score, _ in own} for learner, own in grades.items()}


POSIX = pytest.mark.skipif(os.name != "posix", reason="paths and limits are POSIX")


@POSIX
@pytest.mark.slow
def test_the_release_is_the_exercise(course):
    release = stored(course / f"release/{NAME}/{NAME}.ipynb")
    assert read(release) == read(stored(ROOT / f"exercises/{NAME}.ipynb"))
    assert len([c for c in release["cells"] if c["metadata"].get("nbgrader", {}).get("grade")]) == len(IDS)
    check = [sys.executable, "-m", "pip", "--python", course / nbgrader_course.ENVIRONMENT, "check"]
    assert subprocess.run(check, stdout=subprocess.PIPE, text=True).stdout.strip() == "No broken requirements found."


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
def test_points_go_to_what_is_right(graded, learner):
    assert graded[learner].keys() == IDS
    assert {id for id, score in graded[learner].items() if score} == LEARNERS[learner][1]
    nothing = {score is None for score in graded[learner].values()}  # nbgrader could not say
    assert nothing == {learner == "ends its process"}


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
def test_the_courses_own_grader_gives_the_same_and_is_not_deceived(course, graded, learner):
    rows = grade(course / f"submitted/{learner}/{NAME}/{NAME}.ipynb")
    passed = {row.exercise for row in rows if row.status == "passed"}
    assert passed == (set() if learner == "patched" else {id for id, score in graded[learner].items() if score})


@POSIX
@pytest.mark.slow
def test_the_folders_own_python_grades_and_feedback_is_written(course, graded):
    first = stored(course / f"autograded/right/{NAME}/{NAME}.ipynb")["cells"][0]
    assert "".join(first["outputs"][0]["text"]).strip() == str(course / nbgrader_course.ENVIRONMENT)
    assert (course / "progress/progress.json").exists(), "it went into the progress of whoever grades"
    run(course, "nbgrader", "generate_feedback", NAME, "--student", "wrong")
    assert "the softmax is joint" in (course / f"feedback/wrong/{NAME}/{NAME}.html").read_text(encoding="utf-8")
