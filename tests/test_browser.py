"""What a learner sees: JupyterLab in a real browser. Skips where Chromium is missing, fails instead when REQUIRE_BROWSER is set."""

import os
import shutil

import lab
import nbformat
import pytest

pytestmark = pytest.mark.browser

WRONG = "def joint_softmax(logits):\n    return logits.softmax(-1)"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    if lab.CHROMIUM is None:
        message = "no Chromium on this machine: install it (Debian: apt-get install chromium) to test what a learner sees"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    root, private = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("private")
    shutil.copytree(lab.ROOT / "chapters", root / "chapters")
    nb = nbformat.read(next((lab.ROOT / "exercises").glob("03_*.ipynb")), as_version=4)
    stub = next(c for c in nb.cells if c.cell_type == "code" and "def joint_softmax" in c.source)
    stub.source = WRONG
    nbformat.write(nb, root / "wrong.ipynb")
    with lab.jupyterlab(root, private) as url:
        yield url


@pytest.fixture
def page(address):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p, lab.browser_page(p) as page:
        yield page


def counts(page) -> list[str]:
    """The execution counts of the code cells that are on the page."""
    return page.eval_on_selector_all(".jp-CodeCell .jp-InputArea-prompt", "nodes => nodes.map(n => n.textContent)")


def test_chapter_03_runs_and_its_slider_moves_the_figure(page, address):
    lab.open_notebook(page, address, "chapters/03_trilinear_attention.ipynb")
    lab.run_all(page)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    picture = page.locator("img.explorer").first
    picture.scroll_into_view_if_needed()
    sentence = picture.locator("xpath=ancestor::*[contains(@class,'widget-vbox')][1]")
    before, words = picture.get_attribute("src"), sentence.inner_text()
    assert picture.get_attribute("alt").startswith("Query 9 sees 40 pairs")
    handle = sentence.locator(".noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('img.explorer').getAttribute('src') !== before", arg=before, timeout=10_000)
    assert picture.get_attribute("alt").startswith("Query 10 sees 40 pairs")
    assert sentence.inner_text() != words
    assert page.problems == []


def test_a_quiz_answers_and_a_prediction_is_noted(page, address):
    lab.open_notebook(page, address, "chapters/03_trilinear_attention.ipynb")
    lab.run_all(page)
    button = page.get_by_role("button", name="[2, 4, 10, 10]", exact=True)
    button.scroll_into_view_if_needed()
    button.click()
    page.get_by_text("That is the dot-product layer.").wait_for(timeout=10_000)
    choice = page.get_by_role("button", name="27", exact=True)
    choice.scroll_into_view_if_needed()
    choice.click()
    page.get_by_text("Noted: 27. Now run the next cell.").wait_for(timeout=10_000)
    assert page.problems == []


def test_a_failed_check_is_shown_with_its_picture(page, address):
    lab.open_notebook(page, address, "wrong.ipynb")
    lab.run_all(page)
    report = page.locator(".jp-OutputArea-output", has_text="the softmax is joint over (j, k)").first
    report.scroll_into_view_if_needed()
    report.locator("svg").wait_for(state="visible", timeout=10_000)
    assert "one softmax over the pair  not yet" in report.text_content()
    assert page.problems == []
