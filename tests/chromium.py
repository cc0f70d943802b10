"""A real browser, spoken to through pipes: what a person does with a page, without a person."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import until

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)
_WITH_PIPES = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
for place, pipe in enumerate(pipes, start=3):  # where the browser looks for them
    os.dup2(pipe, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_CODES = {"Backspace": 8, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9, "Enter": 13}


class Page:
    """A tab: what is typed into it, and what it shows.

    Source: https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, to_browser: Any, from_browser: Any) -> None:
        self._to, self._from = to_browser, from_browser
        self._ids = itertools.count(1)
        self._session: str | None = None
        self.said: list[str] = []
        """What the console says, errors of the page and refused requests included."""
        self._events: list[str] = []
        self._is_downloaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser for something, and wait for its answer."""
        id_ = next(self._ids)
        message: dict[str, Any] = {"id": id_, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._next()).get("id") != id_:
            pass
        assert "error" not in answer, answer["error"]
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, file: Path) -> None:
        self._load("Page.navigate", url=file.as_uri())

    def open_url(self, url: str) -> None:
        self._load("Page.navigate", url=url)

    def wait_until(self, expression: str) -> None:
        """Wait until an expression is true."""
        until(lambda: self.evaluate(expression), expression)

    def reload(self) -> None:
        self._load("Page.reload")

    def look(self, width_px: int, height_px: int = 900, *, theme: str = "light") -> None:
        """Be a screen of that size, of somebody who likes it `light` or `dark`."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": width_px < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        code = {"windowsVirtualKeyCode": _CODES.get(key, 0), "code": key if len(key) > 1 else ""}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent.trim()"))

    def click(self, selector: str) -> None:
        """Press a mouse button in the middle of an element."""
        box = self.evaluate(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]})()"
        )
        for type_ in ("mousePressed", "mouseReleased"):
            where = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=type_, **where)

    def screenshot(self, path: Path) -> Path:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path

    def accessible_names(self, role: str) -> list[str]:
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            node["name"]["value"]
            for node in nodes
            if not node["ignored"] and node.get("role", {}).get("value") == role
        ]

    def downloaded(self, folder: Path, start: Callable[[], None]) -> Path:
        """Have something downloaded, and return the file. It exists before it is whole."""
        session, self._session = self._session, None
        where = {"behavior": "allow", "downloadPath": str(folder), "eventsEnabled": True}
        self.call("Browser.setDownloadBehavior", **where)
        self._session = session
        before = set(folder.iterdir())
        self._is_downloaded = False
        start()
        while not self._is_downloaded:
            self._next()
        (path,) = set(folder.iterdir()) - before
        return path

    def _load(self, method: str, **parameters: Any) -> None:
        self._events.clear()
        self.call(method, **parameters)
        while "Page.loadEventFired" not in self._events:
            self._next()

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "The browser has gone."
            data += byte
        message: dict[str, Any] = json.loads(data)
        method = message.get("method", "")
        self._events.append(method)
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.said.append(json.dumps(message["params"]))
        if method == "Browser.downloadProgress" and message["params"]["state"] == "completed":
            self._is_downloaded = True
        if method == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:")):
                self.said.append(f"asked for {url}")
        return message


@contextmanager
def browsing() -> Iterator[Page]:
    """Have a browser with an empty profile, and one page in it."""
    assert CHROMIUM
    read_by_browser, to_browser = os.pipe()
    from_browser, written_by_browser = os.pipe()

    pipes = (str(read_by_browser), str(written_by_browser))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [CHROMIUM, *QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _WITH_PIPES, *pipes, *arguments],
            pass_fds=(read_by_browser, written_by_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
            start_new_session=True,
        )
        os.close(read_by_browser)
        os.close(written_by_browser)
        try:
            with os.fdopen(to_browser, "wb") as to, os.fdopen(from_browser, "rb", buffering=0) as from_:
                yield Page(to, from_)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
