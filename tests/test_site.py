"""The site as a reader gets it: every page in a browser, on a wide screen and on a phone. Skips where Chromium or Sphinx is missing."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

import lab
import pytest

pytestmark = pytest.mark.browser

WIDE, PHONE = 1280, 380
# one page of each kind: the dark theme changes the colours of all alike
DARK = [
    "index.html",
    "search.html",
    *(f"{p}.html" for p in ("chapters/12_token_efficiency", "exercises/08_the_tiled_forward", "workshop/grading")),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    missing = [] if lab.CHROMIUM else ["Chromium (Debian: apt-get install chromium)"]
    missing += [] if importlib.util.find_spec("sphinx_book_theme") else ["Sphinx (make site installs it)"]
    if missing:
        message = f"the site was not tested, missing: {', '.join(missing)}"
        pytest.fail(message) if os.environ.get("REQUIRE_BROWSER") else pytest.skip(message)
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run([sys.executable, "-m", "tools.site", "--out", out], cwd=lab.ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="module")
def address(site):
    with lab.served(site) as url:
        yield url


@pytest.fixture(scope="module")
def page(address):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p, lab.browser_page(p, width=WIDE) as page:
        yield page


class Reader(HTMLParser):
    """Links, pictures and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.anchors |= {told["id"]} if told.get("id") else set()
        if tag == "a" and told.get("href"):
            self.links.append(told["href"])
        if tag == "img":
            self.pictures.append((told.get("src"), told.get("alt")))


def names(site):
    """The pages of the site; the slides have tests of their own."""
    return [p.relative_to(site).as_posix() for p in sorted(site.rglob("*.html")) if not {"_static", "slides"} & set(p.parts)]


def test_every_page_of_the_course_is_there(site):
    wanted = [p for folder in ("chapters", "exercises") for p in sorted((lab.ROOT / folder).glob("[0-9]*.ipynb"))]
    assert len(wanted) >= 28
    found = names(site)
    assert [p.name for p in wanted if p.relative_to(lab.ROOT).with_suffix(".html").as_posix() not in found] == []


def test_links_lead_somewhere_and_pictures_have_words(site):
    read = {name: Reader((site / name).read_text(encoding="utf-8")) for name in names(site)}
    broken, silent = [], []
    for name, page in read.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, anchor = urldefrag(urljoin(name, link))
            path = unquote(path) or name
            there = (site / path).is_file()
            if not there or (anchor and path in read and unquote(anchor) not in read[path].anchors):
                broken.append((name, link))
        silent += [(name, src) for src, alt in page.pictures if not (alt or "").strip()]
    assert broken == []
    assert silent == []
    assert sum(len(p.pictures) for p in read.values()) > 50


def test_the_figures_of_a_chapter_have_the_words_they_have_in_the_notebook(site):
    pictures = Reader((site / "chapters" / "03_trilinear_attention.html").read_text(encoding="utf-8")).pictures
    assert any(alt.startswith("The weights of query 9 on the plane of pairs") for _, alt in pictures)
    assert any(alt.startswith("Query 9 sees 40 pairs") for _, alt in pictures)  # the slicer's first frame


def test_every_page_opens_without_an_error_and_fits_a_phone(site, address, page):
    wide = []
    for name in names(site):
        page.set_viewport_size({"width": PHONE, "height": 800})
        page.goto(address + name, wait_until="load")
        page.wait_for_function("() => !window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)")
        if (width := page.evaluate("document.documentElement.scrollWidth")) > PHONE:
            wide.append((name, width))
    assert wide == []
    assert page.problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_meet_wcag_aa(site, address, page, theme):
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": WIDE, "height": 900})
    page.goto(address)
    page.evaluate("t => { localStorage.setItem('mode', t); localStorage.setItem('theme', t) }", theme)
    axe, found, rules = Axe(), [], {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
    for name in names(site) if theme == "light" else DARK:
        page.goto(address + name, wait_until="load")
        for rule in axe.run(page, options=rules | {"preload": False}).response["violations"]:
            found += [(name, rule["id"], node["html"][:150]) for node in rule["nodes"]]
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert found == []
    page.problems.clear()


def test_the_search_finds_a_term(address, page):
    page.goto(address + "search.html?q=determinant", wait_until="load")
    page.wait_for_selector("#search-results li a", timeout=15_000)
    assert "04_rotations" in "".join(page.eval_on_selector_all("#search-results a", "nodes => nodes.map(n => n.href)"))


def test_formulas_are_set_and_quizzes_can_be_read(address, page):
    page.goto(address + "chapters/03_trilinear_attention.html", wait_until="load")
    page.wait_for_selector("mjx-container", timeout=15_000)
    assert page.locator("mjx-merror").count() == 0
    replies = page.locator("details", has_text="Replies").first
    assert not replies.locator("li").first.is_visible()
    replies.locator("summary").click()
    assert replies.locator("li").first.is_visible()


def test_a_link_to_nowhere_stops_the_build():
    from tools.site import Links

    with pytest.raises(SystemExit, match="does not exist"):
        Links(set(), "").of("see [this](nowhere.md)", "chapters/00_start_here.ipynb")
    code = "`kernel[grid](x, out)` and [`windows.py`](../simplex_lab/windows.py)"
    assert Links(set(), "").of(code, "chapters/05.ipynb") == "`kernel[grid](x, out)` and `windows.py`"
    at = Links(set(), "https://example.org/blob/main").of(code, "chapters/05.ipynb")
    assert at.endswith("[`windows.py`](https://example.org/blob/main/simplex_lab/windows.py)")
