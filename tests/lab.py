"""A JupyterLab of its own in a real browser: private folders, one notebook, nothing but local requests."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def jupyterlab(root: Path, private: Path):
    """Start JupyterLab on ``root`` with its config, data, runtime, settings and workspaces below ``private``; yields its address."""
    port = _free_port()
    env = dict(os.environ)
    for name in ("CONFIG", "DATA", "RUNTIME"):
        env[f"JUPYTER_{name}_DIR"] = str(private / name.lower())
    env |= {
        "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "SIMPLEX_LAB_HOME": str(private / "work"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    env.pop("TRITON_INTERPRET", None)
    log = (private / "jupyter.log").open("w")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    command += [f"--ServerApp.root_dir={root}", "--IdentityProvider.token=", "--ServerApp.password="]
    process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address + "/api", process, private / "jupyter.log")
        yield address
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@contextmanager
def served(folder: Path):
    """Static files over HTTP; yields the address, with a slash at its end."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def browser_page(playwright, *, width=1280, height=900):
    """A page that refuses every request beyond this machine; ``page.problems`` collects console errors and refused addresses."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.problems = []

    def local_only(route):
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            page.problems.append(f"request to {route.request.url}")
            route.abort()

    page.route("**/*", local_only)
    page.on("console", lambda m: page.problems.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda e: page.problems.append(f"page error: {e}"))
    try:
        yield page
    finally:
        browser.close()


def open_notebook(page, address: str, path: str) -> None:
    """Open a notebook and wait until its kernel is idle, by both of JupyterLab's signs."""
    page.goto(f"{address}/lab/tree/{path}?reset", wait_until="load")
    page.wait_for_selector(".jp-Notebook", timeout=90_000)
    wait_idle(page)


def wait_idle(page, timeout: float = 120_000) -> None:
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=timeout)
    page.wait_for_function("() => document.body.innerText.includes('| Idle')", timeout=timeout)


def run_all(page, timeout: float = 120_000) -> None:
    """Run > Restart Kernel and Run All Cells, and wait for the last code cell's number."""
    page.click("text=Run >> visible=true")
    page.click("text=Run All Cells >> visible=true")
    page.wait_for_timeout(500)
    wait_idle(page, timeout)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _wait_for(url: str, process, log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab stopped at once:\n{log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not answer within {seconds} s:\n{log.read_text()[-2000:]}")
