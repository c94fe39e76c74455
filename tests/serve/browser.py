"""Chromium, driven through its own debugging port (DevTools protocol): no driver, no downloads."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


def axe() -> str:
    """The script of axe-core; the test is skipped without it. CROSSAISLE_AXE names a newer one."""
    if path := os.environ.get("CROSSAISLE_AXE"):
        return Path(path).read_text()
    package = pytest.importorskip("axe_core_python", reason="needs pip install axe-core-python")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


def smaller(png: bytes) -> bytes:
    """With 128 colours, where pillow is installed: as good to the eye, and a third of the size."""
    try:
        from PIL import Image
    except ImportError:
        return png
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return out.getvalue()


LONGEST = 20.0
"""Seconds to wait for something to be seen."""


class Browser:
    """One tab."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._n = socket, 0
        self.complaints: list[str] = []
        """Uncaught errors and errors in the console of the page."""
        for domain in ("Page", "Runtime", "Log"):
            self._do(f"{domain}.enable")
        self.size(1280, 900)

    def _do(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._n += 1
        self._socket.send(json.dumps({"id": self._n, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=LONGEST))
            if message.get("id") == self._n:
                assert "error" not in message, message
                answer: dict[str, Any] = message["result"]
                return answer
            if message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(message["params"])[:500])
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"]["text"])

    def open(self, address: str) -> None:
        """Goes to an address."""
        self._do("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self._do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            with suppress(AssertionError):  # the page may still be on its way
                if self.run(condition):
                    return
            time.sleep(0.03)
        raise AssertionError(f"never true: {condition}; problem: {self.run('document.body.innerText')[:500]}")

    def click(self, selector: str) -> None:
        """A real click of the mouse in the middle of an element, once rows that come no longer move it."""
        find = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        before, place = None, self.run(find)
        end = time.monotonic() + 5.0
        while place != before and time.monotonic() < end:
            time.sleep(0.05)
            before, place = place, self.run(find)
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            self._do("Input.dispatchMouseEvent", type=kind, **at)

    def type(self, name: str, text: str, event: str = "input") -> None:
        """Puts text into a field."""
        self.run(f"document.getElementById('{name}').focus(); document.getElementById('{name}').value = ''")
        self._do("Input.insertText", text=text)
        if event != "input":
            self.run(f"document.getElementById('{name}').dispatchEvent(new Event('{event}'))")

    def press(self, key: str, times: int = 1, *, shift: bool = False) -> None:
        """A key of the keyboard, such as `Tab`, `Enter` or `Escape`."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}[key]
        more = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        for _ in range(times):
            text = {"text": "\r"} if key == "Enter" else {}
            self._do("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **more, **text)
            self._do("Input.dispatchKeyEvent", type="keyUp", **more)

    def media(self, **features: str) -> None:
        """Media features, such as `prefers_color_scheme="dark"`; none: as usual."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self._do("Emulation.setEmulatedMedia", features=named)

    def offline(self, away: bool) -> None:
        """Whether the network is away."""
        self._do("Network.enable")
        self._do(
            "Network.emulateNetworkConditions",
            offline=away,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def violations(self) -> list[str]:
        """What axe finds wrong with the page as it is: rule and element."""
        for part in (axe(), "window.done = axe.run().then(found => found.violations)"):
            self.run(f"(() => {{ {part} }})()" if part.startswith("window") else part + "; 0")
        found = self.run("window.done")
        return [f"{v['id']}: {node['html'][:150]}" for v in found for node in v["nodes"]]

    def drag(self, name: str, value: float) -> None:
        """Moves a slider."""
        self.run(
            f"(() => {{ const e = document.getElementById('{name}'); e.value = {value}; "
            "e.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    def size(self, width: int, height: int) -> None:
        """The size of the window; narrow ones are phones."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._do("Emulation.setDeviceMetricsOverride", **metrics)

    def shot(self, name: str, *, whole: bool = True) -> None:
        """A picture for people, of the whole page or of the window, where CROSSAISLE_SHOTS names a folder."""
        if folder := os.environ.get("CROSSAISLE_SHOTS"):
            found = self._do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
            Path(folder, f"{name}.png").write_bytes(smaller(base64.b64decode(found["data"])))


@contextmanager
def opened(chromium: str, profile: Path) -> Iterator[Browser]:
    """A browser of its own, which ends with the test."""
    client = pytest.importorskip("websockets.sync.client", reason="needs pip install websockets")
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command += ["--no-first-run", "--disable-extensions", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file, end = profile / "DevToolsActivePort", time.monotonic() + 60
        while not port_file.is_file() or not port_file.read_text().strip():
            assert process.poll() is None, "chromium ended"
            assert time.monotonic() < end, "chromium did not start"
            time.sleep(0.05)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=20) as answer:
            tabs = json.load(answer)
        url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with client.connect(url, max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait(timeout=20)
