"""Measures the time from a click on a recommendation to those of the next page, in Chromium.

    python benchmarks/taps.py --model demo/model --taps 200 --out DIR

The example shop is served from an origin of its own. Each tap is a mouse click on an item of the row "goes
with": the service is told, and the next page loads and asks for its rows. Measured is the time from the click
to the row "goes with" of the new page (target: p99 at most 150 ms) and, as parts of it, the time from the
page's own content to that row and that of the requests for lists. Everything runs on this machine: there is
no network, and browser, pages and service share its cores. The result includes the load average.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from served import Bars, Served, new_key, workplace

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))
from crossaisle.serve.store.store import Store  # noqa: E402
from tests.serve.browser import Browser, opened  # noqa: E402

P99_MS = 150.0
WATCH = """
addEventListener("click", () => sessionStorage.setItem("tapped", Date.now()), true);
addEventListener("crossaisle:rows", (event) => {
  if (event.detail.placement !== "goes_with" || event.target.id !== "beside" || window.took) return;
  const [page] = performance.getEntriesByType("navigation");
  window.own = performance.now() - page.domContentLoadedEventStart;
  window.took = Date.now() - sessionStorage.getItem("tapped");
});
"""
LISTS = (
    "performance.getEntriesByType('resource').filter(e => e.name.includes('/api/visitor/list'))"
    ".map(e => e.duration)"
)


class _Server(ThreadingHTTPServer):
    # A browser opens several connections at once and retries a refused one only after 1 s.
    request_queue_size = 128


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing."""


def quantiles(times: list[float]) -> dict[str, float]:
    """Milliseconds."""
    cuts = statistics.quantiles(times, n=100)
    return {
        "n": len(times),
        "p50": round(cuts[49], 1),
        "p99": round(cuts[98], 1),
        "max": round(max(times), 1),
    }


def taps(browser: Browser, start: str, n: int, rng: random.Random) -> dict[str, list[float]]:
    """Milliseconds from tap to row, from the page's content to the row, and of each request for a list."""
    took: dict[str, list[float]] = {"tap_to_row_ms": [], "content_to_row_ms": [], "list_request_ms": []}
    browser.open(start)
    for _ in range(n):
        browser.until(
            "document.querySelectorAll('#beside li a').length > 0 && document.readyState === 'complete'"
        )
        before = browser.run("performance.timeOrigin")
        places = browser.run("document.querySelectorAll('#beside li a').length")
        browser.click(f"#beside li:nth-child({rng.randint(1, places)}) a")
        browser.until(f"performance.timeOrigin !== {before} && window.took !== undefined")
        took["tap_to_row_ms"].append(float(browser.run("window.took")))
        took["content_to_row_ms"].append(float(browser.run("window.own")))
        took["list_request_ms"] += browser.run(LISTS)
        time.sleep(0.05)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--taps", type=int, default=200, help="clicks (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("needs chromium")
    rng, bars = random.Random(0), Bars()
    with workplace(options.model) as (folder, model):
        site = folder / "site"
        server = _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pages = f"http://127.0.0.1:{server.server_port}"
        Store(folder / "s.sqlite").close()
        service = Served(model, folder / "s.sqlite", log=folder / "log", options=("--origins", pages))
        key = new_key(folder / "s.sqlite", service.environment, "pages", "visitor")
        shutil.copytree(ROOT / "examples" / "shop", site)
        page = site / "index.html"
        text = page.read_text().replace("http://127.0.0.1:8080", f"http://127.0.0.1:{service.port}")
        page.write_text(
            text.replace("pk_YOUR_KEY", key).replace("<script ", f"<script>{WATCH}</script>\n<script ", 1)
        )
        service.start()
        try:
            with opened(chromium, folder / "profile") as browser:
                taps(browser, f"{pages}/?item=1024306", 10, rng)  # warms up both
                took = taps(browser, f"{pages}/?item=1024306", options.taps, rng)
        finally:
            service.stop()
            server.shutdown()
    results: dict[str, Any] = {
        **{name: quantiles(times) for name, times in took.items()},
        "load_average": os.getloadavg(),
        "cores": os.cpu_count(),
    }
    p99 = results["tap_to_row_ms"]["p99"]
    bars.add("tap to row, p99", f"<= {P99_MS:g} ms", p99, p99 <= P99_MS)
    print(results)
    bars.end(options.out, results)


if __name__ == "__main__":
    main()
