"""A project of two tiny sources, for the tests of the builder."""

from pathlib import Path

CHAPTER = """\
# %% [markdown]
# # Tiny chapter
#
# See the [exercise](../exercises/03_tiny.ipynb#Tiny-work) and the [front page](../README.md#two-commands).

# %% tags=["nbval-ignore-output"]
import sys
import ipywidgets

def later():
    from simplex_lab import windows

for step in range(3):
    print(f"step {step}", end="\\r", flush=True)
print("done  ")
print("aside", file=sys.stderr)
ipywidgets.HBox([ipywidgets.IntSlider(value=3), ipywidgets.Text(value="three")])

# %%
display({"text/plain": "<a picture>", "image/png": "aGVsbG8="}, raw=True, metadata={"image/png": {"alt": "a dot"}})

# %%
1 + 1

# %%
1 + 1
"""

SOLUTION = '''\
# %% [markdown]
# # Tiny work
#
# Common words.
# <!-- solution -->Words for the teacher.<!-- /solution -->
# <!-- exercise -->
# Words for the learner.
# <!-- /exercise -->

# %% [markdown]
# <!-- card 03.1 -->

# %%
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    answer_of_the_task = 2 * x
    return answer_of_the_task
    ### END SOLUTION

# %% tags=["solution"]
assert double(2) == 4
double(21)

# %% [markdown] tags=["solution"]
# Why this is right, in many words.

# %%
"public end"
'''


def card(card_id: str) -> str:
    """Stands in for the course's cards."""
    if card_id != "03.1":
        raise KeyError(f"no exercise {card_id}")
    return "| id | minutes |\n|---|---|\n| 03.1 | 5 |"


def make_project(root: Path) -> Path:
    """Write the sources, a package of one module and a front page."""
    files = {
        "chapters/src/03_tiny.py": CHAPTER,
        "solutions/src/03_tiny.py": SOLUTION,
        "simplex_lab/__init__.py": "",
        "simplex_lab/windows.py": "from simplex_lab import low\n\ndef public_helper():\n    return 1\n",
        "simplex_lab/low.py": "VALUE = 1\n",
        "simplex_lab/unused.py": "VALUE = 1\n",
        "simplex_lab/quizzes/03.toml": "x = 1\n",
        "kernels/simplex_kernels/__init__.py": "",
        "README.md": "# Tiny\n\n## Two commands\n\n[chapter](chapters/03_tiny.ipynb), [up](#tiny), `[no](link.md)`\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
