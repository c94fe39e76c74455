"""Several workers on one port: what one of them acknowledged holds in the next answer of another."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.local_servers import free_port
from crossaisle.serve.store import api_keys
from crossaisle.serve.store.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")
LIMIT = 60.0
SAID = re.compile(r"worker (\d): process (\d+)")


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Workers:
    """The command as a process, and a connection to each of its workers."""

    def __init__(self, arguments: list[str], log: Path, workers: int) -> None:
        self.port, self.log, self.n = free_port(), log, workers
        command = [sys.executable, "-m", "crossaisle", "serve", *arguments]
        command += ["--port", str(self.port), "--workers", str(workers)]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)
        self._clients: dict[int, httpx.Client] = {}

    def started(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return f"{self.n} workers serve" in self.log.read_text()

        until(ready, "not ready")

    def client(self, worker: int) -> httpx.Client:
        """A connection that this worker took and that is still open."""
        end = time.monotonic() + LIMIT
        if worker in self._clients and self._answers(self._clients[worker]) != worker:
            self._clients.pop(worker).close()  # idle for too long, and opened again to another worker
        while worker not in self._clients:
            assert time.monotonic() < end, f"worker {worker} takes no connection"
            one = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LIMIT, verify=False)
            answers = self._answers(one)
            if answers is None or answers in self._clients:
                one.close()
            else:
                self._clients[answers] = one
        return self._clients[worker]

    @staticmethod
    def _answers(client: httpx.Client) -> int | None:
        try:
            return int(client.get("/api/health/live").headers["x-worker"])
        except httpx.TransportError:
            return None

    def ask(self, worker: int, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.client(worker).request(method, path, **more)
        assert answer.headers["x-worker"] == str(worker)
        return answer

    def get(self, worker: int, path: str) -> Any:
        answer = self.ask(worker, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pid(self, worker: int) -> int:
        return [int(pid) for number, pid in SAID.findall(self.log.read_text()) if int(number) == worker][-1]

    def kill(self, worker: int) -> None:
        """Kills one by its own number and waits until there is another in its place."""
        gone = self.pid(worker)
        if worker in self._clients:
            self._clients.pop(worker).close()
        os.kill(gone, signal.SIGKILL)
        until(lambda: self.pid(worker) != gone, "not restarted")
        self.client(worker)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        running = self.process.poll() is None
        self.process.terminate()
        try:
            assert self.process.wait(timeout=LIMIT) == 0 or not running
        finally:
            self.process.kill()


@contextmanager
def serving(arguments: list[str], folder: Path, workers: int = 2) -> Iterator[Workers]:
    running = Workers(arguments, folder / "log", workers)
    try:
        running.started()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def both(
    request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    """Two workers; tests use people and items of their own."""
    folder = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        store = str(folder / "s.sqlite")
        if request.param == "postgres":
            store = f"{request.getfixturevalue('postgres').url}&schema=workers"
        shutil.copytree(model.parent, folder / "models")
        arguments = [str(folder / "models" / "a"), "--store", store, "--models", str(folder / "models")]
        yield stack.enter_context(serving(arguments, folder))


def event(user: str, item: str, **more: Any) -> dict[str, Any]:
    return {"user": user, "item": item, **more}


def test_an_event_counts_in_the_next_answer_of_another_worker(both: Workers) -> None:
    for number in range(40):
        user, (one, other) = f"new-{number}", (number % 2, 1 - number % 2)
        assert both.get(other, f"/api/recommend/{user}")["served"] != "for_you"
        assert both.ask(one, "POST", "/api/events", json=event(user, "bread")).json()["accepted"] == 1
        assert both.get(other, f"/api/recommend/{user}")["served"] == "for_you"
        assert both.get(one, f"/api/recommend/{user}")["served"] == "for_you"


def test_a_list_that_is_kept_is_made_anew_after_an_event_elsewhere(both: Workers) -> None:
    both.ask(0, "POST", "/api/events", json=event("kai", "bread"))
    before = [both.get(worker, "/api/recommend/kai?n=3") for worker in (0, 1)]
    assert before[0]["items"] == before[1]["items"]
    both.ask(0, "POST", "/api/events", json=event("kai", "butter"))
    after = [both.get(worker, "/api/recommend/kai?n=3") for worker in (1, 0)]
    assert after[0]["items"] == after[1]["items"] != before[0]["items"]


def test_a_key_counts_once_whoever_is_asked(both: Workers) -> None:
    counted = [
        both.ask(worker, "POST", "/api/events", json=event("once", "bread", key=f"k{n}")).json()["accepted"]
        for n in range(5)
        for worker in (n % 2, 1 - n % 2)
    ]
    assert counted == [1, 0] * 5
    assert len(both.get(0, "/api/users/once")["events"]) == 5


def test_a_new_item_is_in_the_lists_of_all_workers(both: Workers) -> None:
    for number in range(6):
        one, other = number % 2, 1 - number % 2
        path = f"/api/items/rye-{number}"
        assert both.ask(one, "PUT", path, json={"title": "Rye bread"}).status_code == 201
        assert both.get(other, path)["title"] == "Rye bread"
        assert both.get(other, f"{path}/similar")["items"]
        assert both.ask(other, "PATCH", path, json={"price": 2.5}).status_code == 200
        assert both.ask(one, "PATCH", path, json={"in_stock": False}).json()["price"] == 2.5
        assert both.get(other, path)["in_stock"] is False
        assert both.ask(one, "DELETE", path).status_code == 204
        names = [r["item_id"] for r in both.get(other, "/api/items/bread/similar?n=100")["items"]]
        assert f"rye-{number}" not in names


def test_changes_made_at_the_same_time_are_all_in_all_workers(both: Workers) -> None:
    with ThreadPoolExecutor(2) as threads:

        def put(worker: int) -> list[int]:
            paths = [f"/api/items/w{worker}-{number}" for number in range(5)]
            return [both.client(worker).put(path, json={"title": "Jam"}).status_code for path in paths]

        for worker in (0, 1):
            both.client(worker)
        assert list(threads.map(put, (0, 1))) == [[201] * 5] * 2
    for asked in (0, 1):
        found = both.get(asked, "/api/items?q=jam&n=100")["items"]
        assert {f"w{worker}-{n}" for worker in (0, 1) for n in range(5)} <= {one["item_id"] for one in found}


def test_who_is_forgotten_is_forgotten_everywhere(both: Workers) -> None:
    both.ask(0, "POST", "/api/events", json=event("gone", "bread"))
    for worker in (0, 1):
        assert both.get(worker, "/api/recommend/gone")["served"] == "for_you"
        assert both.get(worker, "/api/recommend/bob")["served"] == "for_you"  # known by the model
    for user in ("gone", "bob"):
        assert both.ask(1, "DELETE", f"/api/users/{user}").status_code == 200
        for worker in (0, 1):
            assert both.get(worker, f"/api/recommend/{user}")["served"] != "for_you"
            assert both.ask(worker, "GET", f"/api/users/{user}").status_code == 404
    assert both.ask(0, "POST", "/api/events", json=event("gone", "milk")).json()["accepted"] == 1
    for worker in (1, 0):
        assert both.get(worker, "/api/recommend/gone")["served"] == "for_you"
        assert [e["item"] for e in both.get(worker, "/api/users/gone")["events"]] == ["milk"]


def test_all_workers_switch_the_model_and_back(both: Workers) -> None:
    before = both.get(1, "/api/recommend/eve?n=3")["items"]
    assert both.ask(0, "POST", "/api/models/activate", json={"name": "b"}).json()["active"] == "b"
    for worker in (0, 1):
        assert both.get(worker, "/api/models")["active"] == "b"
        assert both.get(worker, "/api/models")["previous"] == "a"
    assert both.get(1, "/api/recommend/eve?n=3")["items"] != before
    both.kill(0)
    assert both.get(0, "/api/models")["active"] == "b"
    assert both.ask(1, "POST", "/api/models/roll-back").json()["active"] == "a"
    assert both.get(0, "/api/models")["active"] == "a"
    assert both.get(0, "/api/recommend/eve?n=3")["items"] == before


def test_rules_hold_in_all_workers_and_after_a_crash(both: Workers) -> None:
    def shown(worker: int) -> list[str]:
        return [item["item_id"] for item in both.get(worker, "/api/trending?n=20")["items"]]

    before = shown(0)
    first = before[0]
    for number in range(4):
        one, other = number % 2, 1 - number % 2
        rule = {"action": "never", "items": [f"item:{first}"]}
        assert both.ask(one, "PUT", "/api/rules/recall", json=rule).status_code == 200
        assert first not in shown(other)
        assert first not in shown(one)
        assert both.ask(other, "PATCH", "/api/rules/recall", json={"action": "nevr"}).status_code == 422
        assert first not in shown(one)
        both.ask(other, "PATCH", "/api/rules/recall", json={"action": "pin", "position": 3})
        assert [shown(worker)[2] for worker in (one, other)] == [first, first]
        assert both.get(one, "/api/rules") == both.get(other, "/api/rules")
        assert both.ask(other, "DELETE", "/api/rules/recall").status_code == 204
        assert shown(one) == before
    both.ask(0, "PUT", "/api/rules/recall", json=rule)
    both.kill(0)
    assert [first in shown(worker) for worker in (0, 1)] == [False, False]
    assert both.ask(0, "DELETE", "/api/rules").json()["source"] == "model"
    assert shown(1) == before


def test_an_experiment_runs_and_ends_in_all_workers(both: Workers) -> None:
    arms = [{"name": "x"}, {"name": "y", "model": "b"}]
    body = {"name": "both", "arms": arms, "placement": "discover"}
    assert both.ask(0, "POST", "/api/experiments", json=body).status_code == 201
    for user in ("ann", "bea", "cid", "dan"):
        answers = [both.get(worker, f"/api/recommend/{user}?placement=discover") for worker in (0, 1)]
        assert answers[0]["experiment"] == answers[1]["experiment"]
        assert answers[0]["experiment"]["name"] == "both"
        assert answers[0]["items"] == answers[1]["items"]
    assert both.ask(1, "POST", "/api/experiments", json=body).status_code == 409
    assert both.ask(1, "POST", "/api/experiments/both/stop").status_code == 200
    assert both.get(0, "/api/recommend/ann?placement=discover").get("experiment") is None


def test_a_killed_worker_is_started_again_and_nothing_acknowledged_is_lost(both: Workers) -> None:
    for number in range(2):
        worker = number
        both.ask(worker, "POST", "/api/events", json=event(f"late-{number}", "bread"))
        both.ask(worker, "PUT", f"/api/items/late-{number}", json={"title": "Late bread"})
        both.kill(worker)
        for asked in (0, 1):
            assert both.get(asked, f"/api/recommend/late-{number}")["served"] == "for_you"
            assert both.get(asked, f"/api/items/late-{number}")["title"] == "Late bread"
            assert len(both.get(asked, f"/api/users/late-{number}")["events"]) == 1


def test_metrics_tell_of_all_workers(both: Workers) -> None:
    def told() -> bool:
        text = both.ask(0, "GET", "/metrics").text
        named = {f'crossaisle_up_seconds{{worker="{worker}"}}' in text for worker in (0, 1)}
        return named == {True} and text.count("# TYPE crossaisle_requests_total counter") == 1

    both.get(1, "/api/trending")
    until(told, "a worker is missing in /metrics")


# The processes


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_all_end_together_and_leave_nothing_behind(
    sent: signal.Signals, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with serving([str(model), "--store", str(tmp_path / "s.sqlite")], tmp_path) as running:
        pids = [running.pid(worker) for worker in (0, 1)]
        running.ask(0, "POST", "/api/events", json=event("zoe", "bread"))
        assert all(map(alive, pids))
        running.process.send_signal(sent)
        running.process.wait(timeout=LIMIT)
        until(lambda: not any(map(alive, pids)), "a worker is left behind")
        assert list((tmp_path / "tmp").iterdir()) == []
        assert running.process.returncode == (-signal.SIGKILL if sent == signal.SIGKILL else 0)


def test_what_keeps_workers_from_starting_is_said_once(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "bad")
    array = next((tmp_path / "bad").rglob("*.npy"))
    array.write_bytes(array.read_bytes()[:-1] + b"?")
    running = Workers([str(tmp_path / "bad"), "--store", str(tmp_path / "s.sqlite")], tmp_path / "log", 2)
    assert running.process.wait(timeout=LIMIT) == 1
    said = running.log.read_text()
    assert said.count("does not match its checksum") == 1
    assert "Traceback" not in said
    assert not any(alive(running.pid(worker)) for worker in (0, 1))


def test_workers_keep_the_limits_that_the_service_was_given(model: Path, tmp_path: Path) -> None:
    port = free_port()
    code = (
        "from crossaisle.serve.limits.serving import ServingLimits\n"
        "from crossaisle.serve.server.launch import serve\n"
        "from crossaisle.serve.limits.server import ServerLimits\n"
        f"serve({str(model)!r}, store={str(tmp_path / 's.sqlite')!r}, port={port}, workers=2,\n"
        "    limits=ServingLimits(server=ServerLimits(max_connections=1)))\n"
    )
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=log)
    with ExitStack() as stack:
        stack.callback(process.kill)
        until(lambda: "2 workers serve" in (tmp_path / "log").read_text(), "not ready")
        clients = [
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT))
            for _ in range(3)
        ]
        statuses = [client.get("/api/health/live").status_code for client in clients]
        assert statuses.count(503) >= 1, statuses
        assert statuses[0] == 200
        process.terminate()
        assert process.wait(timeout=LIMIT) == 0


def test_several_shops_and_several_workers(folder: Path) -> None:
    with serving(["--shops", str(folder / "shops.toml")], folder) as running:
        for shop, other in (("north", "south"), ("south", "north")):
            to, elsewhere = {"X-Shop": shop}, {"X-Shop": other}
            running.ask(0, "POST", "/api/events", json=event(f"of-{shop}", "bread"), headers=to)
            running.ask(1, "PUT", f"/api/items/of-{shop}", json={"title": "Rye bread"}, headers=to)
            path = f"/api/recommend/of-{shop}"
            assert running.ask(1, "GET", path, headers=to).json()["served"] == "for_you"
            assert running.ask(1, "GET", path, headers=elsewhere).json()["served"] != "for_you"
            assert running.ask(0, "GET", f"/api/items/of-{shop}", headers=to).status_code == 200
            assert running.ask(0, "GET", f"/api/items/of-{shop}", headers=elsewhere).status_code == 404


@pytest.mark.slow
def test_no_worker_opens_again_once_one_saw_a_key_not_even_one_started_later(
    model: Path, tmp_path: Path
) -> None:
    place = tmp_path / "s.sqlite"
    with serving([str(model), "--store", str(place)], tmp_path) as running, closing(Store(place)) as store:

        def statuses() -> list[int]:
            return [running.ask(worker, "GET", "/api/users/ann").status_code for worker in (0, 1)]

        assert statuses() == [200, 200]
        api_keys.add_key(store, "ops", ["admin"])
        until(lambda: statuses() == [401, 401], "still open")
        api_keys.revoke_key(store, "ops")
        until(lambda: statuses() == [403, 403], "the key is not revoked")
        # As if a store without keys lay there now: who is started again must not believe it.
        store.submit(lambda connection: connection.execute("DELETE FROM api_keys")).result()
        running.kill(0)
        assert statuses() == [403, 403]
