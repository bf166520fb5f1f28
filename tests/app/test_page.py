"""The page in a real browser: it fits, it reads, and its own policy lets all of it through."""

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.app.server import Server

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")

CONTRAST = """
(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = text => {
    const [r, g, b] = rgb(text).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (rgb(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const nodes = document.querySelectorAll('h1, h2, p, strong, dt, dd, pre, a');
  return Math.min(...[...nodes].map(node => {
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
})()
"""


SMALLEST = """
Math.min(...[...document.querySelectorAll('body *')]
  .map(node => parseFloat(getComputedStyle(node).fontSize)))
"""


class Browser:
    """A page of a headless browser, by the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        for domain in ("Page", "Log", "Runtime", "Security"):
            self.call(f"{domain}.enable")
        self.call("Security.setIgnoreCertificateErrors", ignore=True)

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            got = self._receive()
            if got.get("id") == number:
                return got["result"]

    def _receive(self) -> Any:
        got = json.loads(self._socket.recv(timeout=20))
        if got.get("method") == "Log.entryAdded":
            self.complaints.append(got["params"]["entry"]["text"])
        return got

    def show(self, url: str, *, width: int, scheme: str = "light") -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.call("Page.navigate", url=url)
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"][
            "value"
        ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    profile = tmp_path_factory.mktemp("profile")
    process = subprocess.Popen(
        [
            CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connect(_page(profile), max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait(10)


def _page(profile: Path) -> str:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list").json()
            (page,) = (each for each in pages if each["type"] == "page")
            return str(page["webSocketDebuggerUrl"])
        except (OSError, IndexError, ValueError, httpx.HTTPError):
            time.sleep(0.1)
    raise AssertionError("the browser did not start")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_reads(browser: Browser, server: Server, width: int, scheme: str) -> None:
    browser.show(f"{server.url}/?{'x' * 300}", width=width, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(SMALLEST) >= 12
    # WCAG 2.2, contrast of text at level AA.
    assert browser.evaluate(CONTRAST) >= 4.5
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 384) is (scheme == "dark")
    assert browser.complaints == []


def test_the_page_says_who_answered_over_which_tls(browser: Browser, server: Server) -> None:
    browser.show(server.url, width=1280)
    text = browser.evaluate("document.body.innerText")
    assert browser.evaluate("document.querySelector('h1').innerText") == "us-east"
    for said in ("pod-1", "127.0.0.1", "TLSv1.3", "HTTP/2.0", "GET / HTTP/2.0"):
        assert said in text


def test_nothing_that_is_sent_runs_in_the_page(browser: Browser, server: Server) -> None:
    browser.show(f"{server.url}/?</pre><script>document.title='run'</script>", width=1280)
    assert browser.evaluate("document.title") == "us-east · foobar-api"
    assert browser.evaluate("document.scripts.length") == 0
    assert browser.complaints == []
