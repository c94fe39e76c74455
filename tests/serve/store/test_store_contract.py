"""What every store must do, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.local_servers import Missing, Postgres
from crossaisle.errors import ConflictError, DataError, MissingDependencyError, StoreError, UnknownIdError
from crossaisle.serve.api.problems import UNAVAILABLE
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import Keys, add_key, list_keys, revoke_key
from crossaisle.serve.store.postgres.engine import PostgresEngine
from crossaisle.serve.store.store import Busy, Event, Kept, Store, Unreachable
from crossaisle.serve.tenants import ShopConfig, ShopRegistry
from tests.serve.conftest import always_fresh, events_of, talk


@pytest.fixture
def store(place: str | Path) -> Iterator[Store]:
    with closing(Store(place)) as opened:
        yield opened


def event(n: int, key: str | None = "", user: str = "u") -> Event:
    return Event(f"k{n}" if key == "" else key, user, f"i{n}", "view", 1000.0 + n)


def test_events_are_kept_in_order_and_once(store: Store, place: str | Path) -> None:
    first = store.add([event(1), event(2), event(1)]).result()
    assert first.fresh == [event(1), event(2)]
    again = store.add([event(2), event(3, None), event(3, None), event(4)._replace(value=1.5, quantity=2)])
    assert [e.item for e in again.result().fresh] == ["i3", "i3", "i4"]
    store.close()
    with closing(Store(place)) as later:
        kept = list(later.events())
        assert [e.item for _, e in kept] == ["i1", "i2", "i3", "i3", "i4"]
        assert kept[-1][1] == event(4)._replace(value=1.5, quantity=2.0)
        numbers = [seq for seq, _ in kept]
        assert numbers == sorted(set(numbers))
        assert [e.item for _, e in later.events(after=numbers[2])] == ["i3", "i4"]
        assert later.add([event(4)._replace(value=1.5, quantity=2)]).result() == Kept([])


@pytest.mark.parametrize(
    "change", [{"user": "v"}, {"item": "x"}, {"kind": "cart"}, {"value": 2.0}, {"quantity": 3.0}]
)
def test_a_known_key_with_another_content_is_a_conflict_and_nothing_is_kept(
    store: Store, change: dict[str, Any]
) -> None:
    known = event(1)._replace(value=1.5, quantity=2)
    store.add([known, event(2)]).result()
    other = known._replace(**change)
    with pytest.raises(ConflictError, match="key 'k1' is known with another user, item, kind") as caught:
        store.add([event(3), other, event(4), event(2)._replace(**change)]).result()
    assert caught.value.rows == (1, 3)
    assert str(caught.value).startswith("row 1: ")
    with pytest.raises(ConflictError, match=r"^key 'k1' is known"):
        store.add([other]).result()
    assert [e.key for _, e in store.events()] == ["k1", "k2"]
    # Whoever sends an event again without a time sends it with a later one.
    assert store.add([known._replace(time=5e8)]).result() == Kept([])


def test_one_key_with_two_contents_in_a_batch_is_a_conflict(store: Store) -> None:
    with pytest.raises(ConflictError, match="row 2") as caught:
        store.add([event(1), event(2), event(1, user="v"), event(2)]).result()
    assert caught.value.rows == (2,)
    assert list(store.events()) == []
    assert store.add([event(1), event(1)]).result() == Kept([event(1)])


def test_a_conflict_is_nobody_elses_business(store: Store) -> None:
    """Writers at the same time share a commit and a statement."""
    gate = threading.Event()
    held = store.submit(lambda _: gate.wait(10))
    tasks = [store.add(events) for events in ([event(1)], [event(2), event(1, user="v")], [event(3)])]
    gate.set()
    wait([held, *tasks])
    assert [task.exception() is None for task in tasks] == [True, False, True]
    assert isinstance(tasks[1].exception(), ConflictError)
    assert [e.key for _, e in store.events()] == ["k1", "k3"]


def test_rows_in_conflict_are_counted_with_those_that_are_not_kept(store: Store) -> None:
    store.add([event(1)]).result()
    store.forget("gone").result()
    with pytest.raises(ConflictError, match="row 2: key 'k1'") as caught:
        store.add([event(7, user="gone"), event(8), event(1, user="v")]).result()
    assert caught.value.rows == (2,)


def test_an_empty_store_and_an_empty_batch_hold_nothing(store: Store) -> None:
    assert store.add([]).result() == Kept([])
    assert list(store.events()) == []
    assert store.user("nobody") is None


def test_writers_share_commits_and_each_learns_its_own(store: Store) -> None:
    """All threads send the same keys: every key is new for exactly one of them."""
    answers: list[list[Event]] = []
    lock = threading.Lock()

    def send() -> None:
        futures = [store.add([event(n), event(n + 1000, None)]) for n in range(50)]
        with lock:
            answers.extend(f.result().fresh for f in futures)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    new = [e.key for answer in answers for e in answer if e.key]
    assert sorted(new) == sorted(f"k{n}" for n in range(50))
    assert sum(1 for answer in answers for e in answer if e.key is None) == 200
    assert sum(1 for _ in store.events()) == 250


def test_a_failed_task_does_not_take_others_along(store: Store, place: str | Path) -> None:
    gate = threading.Event()
    held = store.submit(lambda _: gate.wait(10))  # so that what follows is one group
    good = store.add([event(1)])
    bad = store.submit(lambda connection: connection.execute("INSERT INTO nowhere (a) VALUES (1)"))
    odd = store.add([event(2), event(3)._replace(time="soon")])  # type: ignore[arg-type]
    fine = store.add([event(4)])
    gate.set()
    wait([held, good, bad, odd, fine])
    assert good.result().fresh == [event(1)]
    assert fine.result().fresh == [event(4)]
    with pytest.raises(StoreError, match="nowhere"):
        bad.result()
    assert odd.exception() is not None
    store.close()
    with closing(Store(place)) as later:
        assert [e.key for _, e in later.events()] == ["k1", "k4"]


def test_a_cancelled_write_does_not_stop_the_writer(store: Store) -> None:
    gate = threading.Event()
    store.submit(lambda _: gate.wait(10))
    given_up = store.add([event(1)])
    assert given_up.cancel()
    gate.set()
    assert store.add([event(2)]).result(10).fresh == [event(2)]
    assert [e.key for _, e in store.events()] == ["k2"]


def test_too_many_writes_are_refused(place: str | Path) -> None:
    with closing(Store(place, limits=StoreLimits(waiting_writes=3))) as store:
        gate = threading.Event()
        waiting = [store.submit(lambda _: gate.wait(10))]
        with pytest.raises(Busy):  # noqa: PT012
            for _ in range(10):
                waiting.append(store.add([event(1)]))
        gate.set()
        wait(waiting)
        assert store.add([event(2)]).result(10).fresh == [event(2)]


def test_items_and_users_are_replaced(store: Store) -> None:
    store.put_items({"a": {"price": 1.0}, "b": {"title": "Käse 100 % 你好?"}}).result()
    store.put_items({"a": {"price": 2.0}}).result()
    assert store.items() == {"a": {"price": 2.0}, "b": {"title": "Käse 100 % 你好?"}}
    store.put_user("ann", {"city": "Ghent"}).result()
    store.put_user("ann", {"city": "Bruges"}).result()
    assert store.user("ann") == {"city": "Bruges"}


def test_a_person_is_deleted(store: Store) -> None:
    store.add([event(1, user="ann"), event(2, user="bob"), event(3, user="ann")]).result()
    store.put_user("ann", {"city": "Ghent"}).result()
    assert store.forget("ann").result().events == 2
    assert store.forget("ann").result().events == 0
    assert events_of(store, "ann") == []
    assert store.user("ann") is None
    assert [e.user for _, e in store.events()] == ["bob"]
    assert list(store.forgotten().times) == [store.digest_of("ann")]


def test_attributes_that_wait_do_not_outlive_a_deletion(store: Store) -> None:
    sent = store.deleted_at("ann")
    store.forget("ann").result()
    with pytest.raises(ConflictError, match="user 'ann' was deleted while this waited"):
        store.put_user("ann", {"city": "Ghent"}, deleted=sent).result()
    assert store.user("ann") is None
    sent = store.deleted_at("ann")
    store.forget("ann").result()
    assert sent is not None
    assert store.deleted_at("ann") != sent, "each deletion is told from the one before"
    with pytest.raises(ConflictError):
        store.put_user("ann", {"city": "Ghent"}, deleted=sent).result()
    store.put_user("ann", {"city": "Ghent"}, deleted=store.deleted_at("ann")).result()
    assert store.user("ann") == {"city": "Ghent"}


def test_a_person_is_known_by_anything_that_is_kept_or_was(store: Store) -> None:
    assert not store.knows("ann")
    store.put_user("ann", {"city": "Ghent"}).result()
    assert store.knows("ann")
    store.add([event(1, user="bob")]).result()
    assert store.knows("bob")
    assert store.counts_of("bob") == (1, 0)
    store.forget("bob").result()
    assert store.counts_of("bob") == (0, 0)
    assert store.knows("bob")


def test_histories_are_by_time(store: Store) -> None:
    store.add([event(3), event(1), event(2), event(9, user="other")]).result()
    assert [e.item for e in events_of(store, "u")] == ["i1", "i2", "i3"]


def test_keys_are_made_found_and_revoked(store: Store) -> None:
    token = add_key(store, "shop", ["read", "write"])
    keys = Keys(store)
    found = keys.find(token)
    assert found is not None
    assert (found.name, found.scopes) == ("shop", frozenset({"read", "write"}))
    revoke_key(store, "shop")
    keys.read()
    assert keys.find(token) is None
    assert list_keys(store) == [("shop", "read,write", True)]
    with pytest.raises(UnknownIdError):
        revoke_key(store, "shop")


def test_rules_are_kept_as_a_whole_with_who_changed_them(store: Store, place: str | Path) -> None:
    assert store.rules() is None
    store.put_rules('[{"id": "a"}]', ("ann", "put rule a")).result()
    store.put_rules("[]", ("bob", "deleted rule a")).result()
    store.close()
    with closing(Store(place)) as later:
        assert later.rules() == "[]", "no rules, which is something else than none of its own"
        assert [(line["who"], line["what"]) for line in later.audit()] == [
            ("bob", "deleted rule a"),
            ("ann", "put rule a"),
        ]
        later.put_rules(None).result()
        assert later.rules() is None


def test_the_audit_log_is_newest_first(store: Store) -> None:
    for n in range(3):
        store.note(float(n), "me", f"did {n}").result()
    assert [line["what"] for line in store.audit(2)] == ["did 2", "did 1"]


def test_reading_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match=r"read-?only"), store.reading() as connection:
        connection.execute("INSERT INTO items (id, body) VALUES ('x', '{}')")


# What is special to one of them


def test_urls_are_told_from_files(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="postgresql://"):
        Store("mysql://localhost/shop")
    with closing(Store(str(tmp_path / "plain"))) as store:
        assert store.path == tmp_path / "plain"


def test_a_full_disk_refuses_and_then_goes_on(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s.sqlite")) as store:
        store.add([event(1)]).result()

        def limit(pages: int) -> None:
            # SQLite's own limit answers as a full disk does.
            query = f"PRAGMA max_page_count={pages}"
            store.submit(lambda connection: connection.execute(query)).result()

        limit(1)  # not below what is there
        large = [event(n, user="u" * 200) for n in range(2, 2000)]
        with pytest.raises(StoreError, match="full"):
            store.add(large).result()
        assert [e.key for _, e in store.events()] == ["k1"]
        limit(1_000_000)
        assert len(store.add(large).result().fresh) == len(large)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[postgres\]'"):
        Store("postgresql://localhost/shop")


def test_passwords_are_not_shown() -> None:
    pytest.importorskip("psycopg", reason="needs pip install 'crossaisle[postgres]'")
    engine = PostgresEngine("postgresql://shop:s3cret@db.example:5433/main?password=s3cret&schema=a")
    assert engine.name == "postgresql://db.example:5433/main"
    with pytest.raises(StoreError) as caught:
        Store("postgresql://shop:s3cret@127.0.0.1:1/main")
    assert "s3cret" not in str(caught.value)


def test_nul_is_refused_by_postgres_alone(postgres: Postgres) -> None:
    with closing(Store(f"{postgres.url}&schema=nul")) as store:
        bad, good = store.add([event(1, user="a\x00b")]), store.add([event(2)])
        with pytest.raises(DataError, match="NUL"):
            bad.result()
        assert len(good.result().fresh) == 1
        with pytest.raises(DataError, match="NUL"):
            store.user("a\x00b")


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """One that may be shut down."""
    try:
        server = Postgres()
    except Missing as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


def test_the_database_restarts_and_nothing_is_lost(own_postgres: Postgres) -> None:
    with closing(Store(own_postgres.url)) as store:
        acknowledged: list[Event] = []
        numbers = count()
        for how in (signal.SIGQUIT, signal.SIGINT):
            stop = threading.Timer(0.2, own_postgres.stop, (how,))
            stop.start()
            with pytest.raises(Unreachable):  # noqa: PT012
                while True:
                    acknowledged += store.add([event(next(numbers))]).result(20).fresh
            stop.join()
            until(lambda: not store.up)
            start = time.monotonic()
            with pytest.raises(Unreachable, match="cannot be reached"):
                store.add([event(next(numbers))])
            assert time.monotonic() - start < 0.1
            with pytest.raises(StoreError):
                store.user("u")
            own_postgres.start()
            until(lambda: store.up)
        acknowledged += store.add([event(next(numbers))]).result(20).fresh
        kept = [e for _, e in store.events()]
        assert len(kept) == len({e.key for e in kept})
        missing = {e.key for e in acknowledged} - {e.key for e in kept}
        assert not missing
        # What is in the store though it was not acknowledged was told of.
        assert {e.key for e in kept} - {e.key for e in acknowledged} == {e.key for e in store.late()}


def test_a_connection_cut_while_idle_is_opened_again_unnoticed(postgres: Postgres) -> None:
    with closing(Store(f"{postgres.url}&schema=cut")) as store:
        store.add([event(1)]).result()
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'crossaisle' AND pid <> pg_backend_pid()"
        )
        assert store.add([event(2)]).result(10).fresh == [event(2)]
        assert [e.key for e in events_of(store, "u")] == ["k1", "k2"]


def test_a_commit_not_heard_of_is_found_out(postgres: Postgres) -> None:
    """The server commits, and the answer does not arrive."""
    with closing(Store(f"{postgres.url}&schema=unheard")) as store:
        store.add([event(1)]).result()
        connection = store.writer._connection
        assert connection is not None
        plain = connection.execute

        class Deaf:
            raw = connection.raw  # type: ignore[attr-defined]

            def execute(self, sql: str, *parameters: object) -> object:
                answer = plain(sql, *parameters)
                if sql == "COMMIT":
                    connection.close()
                    plain("SELECT 1")  # raises as a lost connection does
                return answer

            def close(self) -> None:
                connection.close()

        deaf = Deaf()
        store.engine.lost = lambda c: c.raw.closed  # type: ignore[method-assign, union-attr]
        store.writer._connection = deaf  # type: ignore[assignment]
        with pytest.raises(Unreachable, match="same key"):
            store.add([event(2), event(3, None)]).result(10)
        until(lambda: store.up)
        assert store.add([event(2)]).result(10).fresh == []
        assert store.late() == [event(2), event(3, None)]
        assert store.late() == []


def test_two_shops_in_one_database_are_apart(postgres: Postgres, model: Path) -> None:
    places = {name: f"{postgres.url}&schema=shop_{name}" for name in ("north", "south")}
    shops = ShopRegistry.open({name: ShopConfig(model=model, store=place) for name, place in places.items()})
    one = {"user": "zoe", "item": "bread", "key": "k1"}
    token = add_key(shops.services["north"].store, "operator", ["admin"])
    add_key(shops.services["south"].store, "operator", ["admin"])

    async def conversation(client: httpx.AsyncClient) -> None:
        def headers(name: str) -> dict[str, str]:
            return {"x-shop": name, "x-api-key": token}

        assert (await client.post("/api/events", json=one, headers=headers("north"))).json()["accepted"] == 1
        assert (await client.post("/api/events", json=one, headers=headers("south"))).status_code == 401
        assert (await shops.services["south"].add_events([event(1, "k1", "zoe")])).accepted == 1
        assert len((await client.get("/api/users/zoe", headers=headers("north"))).json()["events"]) == 1
        assert (await client.delete("/api/users/zoe", headers=headers("north"))).json() == {
            "events_deleted": 1,
            "overwritten": False,
        }
        assert events_of(shops.services["south"].store, "zoe") == [event(1, "k1", "zoe")]

    try:
        talk(shops, conversation)
    finally:
        shops.close()


def test_the_service_outlives_its_database(own_postgres: Postgres, model: Path) -> None:
    service = ShopService.open(model, own_postgres.url)
    one = {"user": "zoe", "item": "bread", "key": "k1"}

    async def conversation(client: httpx.AsyncClient) -> None:
        assert (await client.post("/api/events", json=one)).json()["accepted"] == 1
        own_postgres.stop(signal.SIGQUIT)
        for body in (one, [one]):
            answer = await client.post("/api/events", json=body)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["detail"] == UNAVAILABLE
        assert (await client.put("/api/users/zoe", json={})).status_code == 503
        assert (await client.get("/api/users/zoe")).status_code == 503
        always_fresh(service)  # the next request reads the keys again, which cannot succeed
        found = await client.get("/api/recommend/zoe")
        assert found.status_code == 200
        assert found.json()["served"] == "for_you"
        assert (await client.get("/api/health/ready")).json()["store"] == "unreachable"
        own_postgres.start()
        until(lambda: service.store.up)
        assert (await client.post("/api/events", json=one)).json() == {"accepted": 0, "duplicates": 1}
        new = {"user": "zoe", "item": "jam", "key": "k2"}
        assert (await client.post("/api/events", json=new)).json()["accepted"] == 1
        assert service.live.of("zoe").items == ("bread", "jam")
        assert (await client.get("/api/health/ready")).json()["store"] == "up"

    try:
        talk(service, conversation)
    finally:
        service.close()
