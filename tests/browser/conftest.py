"""The built book, served from this machine to a Chromium that reaches nothing else.

`make test-browser` runs these tests on _build/html; `make test` leaves them out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from attention_in_motion.paths import ROOT

HTML = ROOT / "_build" / "html"
KEPT = ROOT / "_build" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
HELD = (ROOT / "tests" / "browser" / "measure.js").read_text(encoding="utf-8")


def pytest_ignore_collect(collection_path, config):
    """Only `pytest -m browser` comes here."""
    return "browser" not in (config.option.markexpr or "") or None


def chromium() -> str:
    """The path of a Chromium: on PATH, else Debian's, which root may install; else one line."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True)
        return shutil.which("chromium")
    pytest.exit(f"no browser: put one of {', '.join(NAMES)} on PATH", returncode=2)


@dataclass
class Visit:
    """A page as it was met: what it asked for, what it complained of, what was measured in it."""

    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    weight: dict[str, int] = field(default_factory=dict)  # bytes by address
    seen: dict = field(default_factory=dict)  # what measure.js returns
    axe: list[dict] = field(default_factory=list)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address():
    """Where the built book is served."""
    if not (HTML / "index.html").exists():
        pytest.exit(f"{HTML}: no book there; run make book first", returncode=2)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=HTML))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="run make test-browser")
    with sync_api.sync_playwright() as playwright:
        options = {"executable_path": chromium(), "args": ["--no-sandbox"]}
        started = playwright.chromium.launch(**options)
        yield started
        started.close()


@pytest.fixture(scope="session")
def tab(browser, address):
    """tab(screen, scheme) → (page, visit): a page that records what it asks for and says."""

    def opened(screen="desktop", scheme="light"):
        width, height = SCREENS[screen]
        size = {"viewport": {"width": width, "height": height}}
        context = browser.new_context(**size, color_scheme=scheme)
        page, visit = context.new_page(), Visit()

        def gate(route):
            if route.request.url.startswith((address, "data:")):
                return route.continue_()
            visit.outside.append(route.request.url)
            return route.abort()

        def answered(response):
            if response.status >= 400:
                visit.failed.append(f"{response.status} {response.url}")
            elif response.url.startswith(address):
                path = HTML / response.url.removeprefix(address).split("?")[0].lstrip("/")
                visit.weight[response.url] = path.stat().st_size if path.is_file() else 0

        page.route("**/*", gate)
        page.on("response", answered)
        page.on("console", lambda m: visit.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        return page, visit

    return opened


def rules(screen: str) -> dict:
    """axe's options: all rules, but colours, which the screen does not change, on one alone."""
    colours = {"color-contrast": {"enabled": screen == "desktop"}}
    return {"preload": False, "resultTypes": ["violations"], "rules": colours}


@pytest.fixture(scope="session")
def met(tab, address):
    """met(name, screen, scheme) → Visit of a page, once per session."""
    from axe_playwright_python.sync_playwright import Axe

    visits = {}

    def visit_of(name, screen, scheme):
        if (key := (name, screen, scheme)) not in visits:
            page, visit = tab(screen, scheme)
            page.goto(f"{address}/{name}.html", wait_until="load")
            page.evaluate("() => window.MathJax?.startup?.promise")
            page.wait_for_timeout(200)  # scripts that wait for the formulae
            visit.seen = page.evaluate(HELD)
            kept = KEPT / f"{name.replace('/', '-')}-{screen}-{scheme}.png"
            page.screenshot(path=kept, full_page=False)
            visit.axe = Axe().run(page, options=rules(screen)).response["violations"]
            page.context.close()
            visits[key] = visit
        return visits[key]

    return visit_of
