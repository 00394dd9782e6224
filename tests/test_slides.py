"""Every slide in a browser: nothing runs over its edge, nothing comes from elsewhere. Skips where Chromium or reveal.js are missing."""

import importlib.util
import os
import subprocess
import sys

import lab
import pytest

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 1280, 720
CHAPTERS = sorted(p.stem for p in (lab.ROOT / "chapters").glob("[0-9]*.ipynb"))
READY = "() => window.Reveal && Reveal.isReady() && MathJax.startup.promise.then(() => true)"
# what the current slide takes, the widest thing on it, and pictures without words
MEASURE = """() => {
  const slide = Reveal.getCurrentSlide(), all = [...slide.querySelectorAll('pre, table, img, mjx-container, p, li, h1, h2')];
  return {
    height: Math.round(slide.scrollHeight),
    right: Math.round(Math.max(0, ...all.map(e => e.getBoundingClientRect().right))),
    hidden: all.filter(e => e.scrollWidth > e.clientWidth + 2 && e.tagName === 'PRE').length,
    silent: [...slide.querySelectorAll('img')].filter(i => !i.alt).length,
    small: Math.min(99, ...[...slide.querySelectorAll('p, li, pre, td')].map(e => parseFloat(getComputedStyle(e).fontSize))),
    errors: slide.querySelectorAll('mjx-merror').length,
    text: slide.innerText.trim(),
  }
}"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    missing = [] if lab.CHROMIUM else ["Chromium (Debian: apt-get install chromium)"]
    missing += [] if importlib.util.find_spec("sphinx_revealjs") else ["reveal.js (make slides installs it)"]
    if missing:
        message = f"the slides were not tested, missing: {', '.join(missing)}"
        pytest.fail(message) if os.environ.get("REQUIRE_BROWSER") else pytest.skip(message)
    out = tmp_path_factory.mktemp("slides")
    built = subprocess.run([sys.executable, "-m", "tools.slides", "--out", out], cwd=lab.ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    with lab.served(out) as address:
        yield address


@pytest.fixture(scope="module")
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p, lab.browser_page(p, width=WIDTH, height=HEIGHT) as page:
        yield page


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_slide_fits(chapter, decks, page):
    page.goto(f"{decks}{chapter}.html", wait_until="load")
    page.wait_for_function(READY)
    count, wrong = page.evaluate("Reveal.getTotalSlides()"), []
    for n in range(1, count + 1):
        found = page.evaluate(MEASURE)
        if (
            found["height"] > HEIGHT
            or found["right"] > WIDTH
            or found["hidden"]
            or found["silent"]
            or found["errors"]
            or found["small"] < 15
        ):
            wrong.append((n, found))
        assert found["text"], f"slide {n} is empty"
        page.evaluate("Reveal.next()")
    assert wrong == [], "\n".join(f"slide {n}: {found}" for n, found in wrong)
    assert count >= 8
    assert page.locator("aside.notes").count() >= count // 2, "the speaker has little to say"
    assert page.problems == []


def test_a_slide_that_runs_over_is_seen(decks, page):
    page.goto(f"{decks}{CHAPTERS[3]}.html", wait_until="load")
    page.wait_for_function(READY)
    assert page.evaluate(MEASURE)["height"] <= HEIGHT
    page.evaluate("Reveal.getCurrentSlide().insertAdjacentHTML('beforeend', '<p>' + 'too much '.repeat(400) + '</p>')")
    assert page.evaluate(MEASURE)["height"] > HEIGHT


def test_what_is_too_much_for_a_slide_is_left_to_say():
    from tools.slides import split

    shown, said = split("## Head\n\nshort text\n\n$$x$$\n\n" + "word " * 60 + "\n\n- a list", words=10)
    assert shown == "## Head\n\nshort text\n\n$$x$$\n\n- a list"
    assert said.startswith("word")
    assert split("## Head\n\n" + "word " * 60)[1] == ""  # the first paragraph always stays
