"""Settings of the site. ``tools/site.py`` lays the pages out beside a copy of this file and runs Sphinx there."""

import json
from pathlib import Path

FACTS = json.loads(
    (Path(__file__).parent / "facts.json").read_text(encoding="utf-8")
)  # version, and the repository's address if it has one

project = "Simplex Lab"
author = "The Simplex Lab maintainers"
copyright = "MIT for code, CC BY 4.0 for text and figures"
version = release = FACTS["version"]
language = "en"

extensions = ["myst_nb", "sphinx-mathjax-offline"]
source_suffix = {".ipynb": "myst-nb", ".md": "myst-nb"}
exclude_patterns = ["README.md"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

html_theme = "sphinx_book_theme"
html_title = "Simplex Lab"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = True
html_show_sourcelink = False
html_last_updated_fmt = None
# Names of text, numbers and comments that can be read on their ground: at least 4.5 to 1.
html_theme_options = {
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
if FACTS["repository"]:
    html_theme_options |= {
        "repository_url": FACTS["repository"],
        "repository_branch": FACTS["branch"],
        "path_to_docs": "",
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }
html_context = {"default_mode": "auto"}
