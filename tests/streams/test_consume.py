"""Streams into the service, through real brokers: one contract for both."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.local_servers import Missing, Tansu, Valkey, free_port
from crossaisle.errors import ConfigError, MissingDependencyError, StoreError
from crossaisle.serve.service import ShopService
from crossaisle.serve.store.api_keys import add_key
from crossaisle.streams.consume import Consumed, consume, open_source
from crossaisle.streams.sender import Sender
from crossaisle.streams.source import Source, key_of, moment
from tests.serve.conftest import events_of, running

_NUMBERS = count()
QUICK = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "300"}
"""The broker of the tests lets a consumer in after the session timeout."""


class Redis:
    """What the tests do with a broker."""

    def __init__(self) -> None:
        redis = pytest.importorskip("redis", reason="needs pip install 'crossaisle[streams]'")
        self.library: Any = redis
        self.server = Valkey()
        self.url = self.server.url
        self.client: Any = redis.Redis.from_url(self.url, protocol=2)

    def publish(self, stream: str, texts: Sequence[bytes]) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for text in texts:
                pipe.xadd(stream, {"event": text})
            pipe.execute()

    def dead(self, stream: str) -> list[tuple[str, bytes]]:
        found = self.client.xrange(f"{stream}.dead")
        return [(fields[b"dead-reason"].decode(), fields.get(b"event", b"")) for _, fields in found]

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Kafka:
    def __init__(self) -> None:
        self.kafka: Any = pytest.importorskip(
            "confluent_kafka", reason="needs pip install 'crossaisle[streams]'"
        )
        self.server = Tansu()
        self.url = self.server.url
        self.settings = {"bootstrap.servers": f"127.0.0.1:{self.server.port}", "log_level": 2}
        self.producer = self.kafka.Producer({**self.settings, "acks": "all"})

    def publish(self, stream: str, texts: Sequence[bytes]) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient(self.settings)
        if stream not in admin.list_topics(timeout=10).topics:
            admin.create_topics([NewTopic(stream, 1, 1)])[stream].result(10)
        for text in texts:
            self.producer.produce(stream, value=text)
        assert self.producer.flush(10) == 0

    def dead(self, stream: str) -> list[tuple[str, bytes]]:
        consumer = self.kafka.Consumer({**self.settings, "group.id": "reader"})
        consumer.assign([self.kafka.TopicPartition(f"{stream}.dead", 0, 0)])
        found: list[tuple[str, bytes]] = []
        while messages := consumer.consume(100, timeout=1.0):
            found += [(dict(m.headers())["dead-reason"].decode(), m.value()) for m in messages]
        consumer.close()
        return found

    def close(self) -> None:
        self.server.close()


@pytest.fixture(scope="module", params=[Redis, pytest.param(Kafka, marks=pytest.mark.slow)])
def broker(request: pytest.FixtureRequest) -> Iterator[Redis | Kafka]:
    try:
        started = request.param()
    except Missing as missing:
        pytest.skip(str(missing))
    yield started
    started.close()


@pytest.fixture
def stream() -> str:
    return f"events-{next(_NUMBERS)}"


def opened(broker: Redis | Kafka, stream: str, **more: Any) -> Source:
    settings = {**QUICK, "log_level": "2"} if isinstance(broker, Kafka) else None
    return open_source(broker.url, stream, settings=settings, **more)


def drained(source: Source, url: str, **more: Any) -> Consumed:
    sender = Sender(url, patience=20)
    wait = 0.7 if source.name.startswith("kafka") else 0.2
    try:
        return consume(source, sender, until_empty=True, wait=wait, **more)
    finally:
        source.close()
        sender.close()


def events(n: int, start: int = 0, **more: Any) -> list[bytes]:
    items = ("bread", "jam", "butter", "soap")
    bodies = [{"user": "zoe", "item": items[i % 4], "time": 1e9 + i, **more} for i in range(start, start + n)]
    return [json.dumps(body).encode() for body in bodies]


def test_messages_arrive_once_and_a_new_consumer_goes_on(
    broker: Redis | Kafka, stream: str, service: ShopService, address: str
) -> None:
    broker.publish(stream, events(50))
    assert drained(opened(broker, stream), address, batch=20) == Consumed(50, 50, 0, 0)
    kept = events_of(service.store, "zoe")
    assert [e.item for e in kept[:4]] == ["bread", "jam", "butter", "soap"]
    assert len({e.key for e in kept}) == 50
    assert all(stream in str(e.key) for e in kept)
    broker.publish(stream, events(5, start=50))
    assert drained(opened(broker, stream), address) == Consumed(5, 5, 0, 0)
    assert len(service.live.of("zoe").items) == 55


def test_what_comes_twice_counts_once(
    broker: Redis | Kafka, stream: str, service: ShopService, address: str
) -> None:
    """The consumer dies after the service answered and before the broker knows."""
    broker.publish(stream, [*events(3), *events(1, key="own")])
    source = opened(broker, stream, consumer="one")
    source.done = lambda _: (_ for _ in ()).throw(RuntimeError("killed"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        drained(source, address)
    assert len(service.live.of("zoe").items) == 4
    assert drained(opened(broker, stream, consumer="one"), address) == Consumed(4, 0, 4, 0)
    assert drained(opened(broker, stream, consumer="one"), address) == Consumed()
    assert len(service.live.of("zoe").items) == 4
    assert "own" in {e.key for e in events_of(service.store, "zoe")}


def test_what_cannot_be_read_is_put_aside_with_the_reason(
    broker: Redis | Kafka, stream: str, service: ShopService, address: str
) -> None:
    bad = [b"no json", b"[1]", b'{"user": "zoe"}', b'{"user": "zoe", "item": "jam", "knd": 1}', b"\xff"]
    texts = events(20)
    for place, text in zip((0, 3, 9, 12, 20), bad, strict=True):
        texts.insert(place, text)
    broker.publish(stream, texts)
    assert drained(opened(broker, stream), address) == Consumed(25, 20, 0, 5)
    assert len(service.live.of("zoe").items) == 20
    reasons = {text: reason for reason, text in broker.dead(stream)}
    assert set(reasons) == set(bad)
    assert reasons[b"no json"].startswith("not JSON")
    assert reasons[b"[1]"] == "not an object"
    assert "'item': must be text" in reasons[b'{"user": "zoe"}']
    assert "did you mean 'kind'?" in reasons[bad[3]]
    assert drained(opened(broker, stream), address) == Consumed()


def test_a_stream_is_replayed_from_where_one_says(
    broker: Redis | Kafka, stream: str, service: ShopService, address: str
) -> None:
    broker.publish(stream, events(10))
    assert drained(opened(broker, stream), address).accepted == 10
    assert drained(opened(broker, stream, start="beginning"), address) == Consumed(10, 0, 10, 0)
    place = broker.client.xrange(stream)[3][0].decode() if isinstance(broker, Redis) else "4"
    assert drained(opened(broker, stream, start=place), address) == Consumed(6, 0, 6, 0)
    if isinstance(broker, Redis):  # the other broker's own idea of its end is wrong
        broker.publish(stream, events(2, start=10))
        assert drained(opened(broker, stream, start="end"), address) == Consumed()


def test_a_replay_does_not_bring_back_who_was_deleted(
    broker: Redis | Kafka, stream: str, service: ShopService, address: str
) -> None:
    """With or without times of their own: those that have none have the broker's."""
    untimed = [json.dumps({"user": "zoe", "item": item}).encode() for item in ("bread", "jam")]
    broker.publish(stream, [*events(3), *untimed])
    assert drained(opened(broker, stream), address).accepted == 5
    assert httpx.delete(f"{address}/api/users/zoe").json()["events_deleted"] == 5
    found = drained(opened(broker, stream, start="beginning"), address)
    assert found == Consumed(5, 0, 0, 0, forgotten=5)
    assert httpx.get(f"{address}/api/users/zoe").status_code == 404
    broker.publish(stream, untimed)
    assert drained(opened(broker, stream), address).accepted == 2


def test_made_up_numbers_are_no_times() -> None:
    assert moment(1_700_000_000_123) == 1_700_000_000.123
    assert moment(5) is None
    assert moment(int(time.time() * 1000) + 60_000) is None


def test_it_waits_for_the_service(broker: Redis | Kafka, stream: str, service: ShopService) -> None:
    broker.publish(stream, events(10))
    port, found = free_port(), []
    source = opened(broker, stream)
    thread = threading.Thread(target=lambda: found.append(drained(source, f"http://127.0.0.1:{port}")))
    thread.start()
    time.sleep(0.5)
    with running(service, port):
        thread.join(30)
        assert found == [Consumed(10, 10, 0, 0)]


def test_it_stops_when_told_and_loses_nothing(
    broker: Redis | Kafka, stream: str, service: ShopService, address: str
) -> None:
    broker.publish(stream, events(5))
    stop = threading.Event()
    source = opened(broker, stream, stop=stop, consumer="one")
    sender = Sender(f"http://127.0.0.1:{free_port()}", stop=stop)  # nobody is there
    threading.Timer(3.0 if isinstance(broker, Kafka) else 0.5, stop.set).start()
    assert consume(source, sender, wait=0.5) == Consumed()
    source.close()
    sender.close()
    assert drained(opened(broker, stream, consumer="one"), address) == Consumed(5, 5, 0, 0)


@pytest.fixture
def redis() -> Iterator[Redis]:
    try:
        started = Redis()
    except Missing as missing:
        pytest.skip(str(missing))
    yield started
    started.close()


def test_a_dead_consumers_messages_are_taken_over(redis: Redis, service: ShopService, address: str) -> None:
    redis.publish("s", events(700))
    dead = open_source(redis.url, "s", consumer="dead")
    assert len(dead.read(650, 1.0)) == 650  # and no more is heard of it
    early = drained(open_source(redis.url, "s", claim_seconds=60), address)
    assert early.accepted == 50
    time.sleep(0.2)
    late = drained(open_source(redis.url, "s", claim_seconds=0.1), address)
    assert late == Consumed(650, 650, 0, 0)
    assert redis.client.xpending("s", "crossaisle")["pending"] == 0
    assert len(service.live.of("zoe").items) == 700


def test_fields_are_an_event_too(redis: Redis, service: ShopService, address: str) -> None:
    redis.client.xadd("s", {"user": "zoe", "item": "7", "time": "1700000000.5", "value": "2.5", "key": "k"})
    redis.client.xadd("s", {"user": "zoe", "item": "jam", "time": "2024-01-16T00:00:00"})
    redis.client.xadd("s", {"user": "zoe", "item": "jam", "value": "much"})
    redis.client.xadd("s", {b"user": b"\xff"})
    assert drained(open_source(redis.url, "s"), address) == Consumed(4, 2, 0, 2)
    first = events_of(service.store, "zoe")[0]
    assert (first.item, first.time, first.value, first.key) == ("7", 1700000000.5, 2.5, "k")
    reasons = [reason for reason, _ in redis.dead("s")]
    assert reasons[0] == "not UTF-8"
    assert "column 'value': must be a number" in reasons[1]


def test_the_broker_is_killed_under_load(redis: Redis, service: ShopService, address: str) -> None:
    redis.publish("s", events(1500))
    stop, found = threading.Event(), []
    source = open_source(redis.url, "s", stop=stop)
    sender = Sender(address, stop=stop)
    thread = threading.Thread(target=lambda: found.append(consume(source, sender, batch=50, wait=0.2)))
    thread.start()
    for _ in range(3):
        time.sleep(0.15)
        redis.server.stop(signal.SIGKILL)
        time.sleep(0.2)
        redis.server.start()
    until(lambda: len(service.live.of("zoe").items) == 1500)
    stop.set()
    thread.join(20)
    source.close()
    sender.close()
    assert found[0].accepted == 1500
    assert len({e.key for e in events_of(service.store, "zoe")}) == 1500


def test_an_answer_that_got_lost_is_asked_for_again(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    redis.publish("s", events(5))
    source = open_source(redis.url, "s")
    client: Any = source._redis  # type: ignore[attr-defined]
    ask, lost = client.xreadgroup, []

    def losing(group: str, consumer: str, streams: dict[str, str], **more: Any) -> Any:
        answer = ask(group, consumer, streams, **more)
        if streams == {"s": ">"} and not lost:
            lost.append(answer)
            raise redis.library.ConnectionError("the broker was killed")
        return answer

    monkeypatch.setattr(client, "xreadgroup", losing)
    assert len(source.read(10, 0.1)) == 5
    assert len(lost[0][0][1]) == 5
    source.close()


def test_a_lost_group_is_made_again(redis: Redis, service: ShopService, address: str) -> None:
    redis.publish("s", events(5))
    source = open_source(redis.url, "s")
    sender = Sender(address)
    assert consume(source, sender, until_empty=True, wait=0.1).accepted == 5
    redis.client.xgroup_destroy("s", "crossaisle")
    assert source.read(10, 0.1) == []
    assert consume(source, sender, until_empty=True, wait=0.1) == Consumed(5, 0, 5, 0)
    source.close()
    sender.close()


def test_the_command_consumes_until_it_is_stopped(redis: Redis, service: ShopService, address: str) -> None:
    redis.publish("s", events(5))
    command = [sys.executable, "-m", "crossaisle", "consume", redis.url, "--stream", "s", "--to", address]
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: len(service.live.of("zoe").items) == 5)
    until(lambda: redis.client.xpending("s", "crossaisle")["pending"] == 0)
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert json.loads(out) == {"read": 5, "accepted": 5, "duplicates": 0, "dead": 0, "forgotten": 0}
    assert redis.client.xinfo_consumers("s", "crossaisle") == []


def until(what: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# Without a broker


def test_a_wrong_address_or_key_stops_it(service: ShopService, address: str) -> None:
    for url in ("127.0.0.1:8080", "ftp://x", ""):
        with pytest.raises(ConfigError, match="is not the address of a service"):
            Sender(url)
    for url, key in ((f"{address}/elsewhere", None), (address, "wrong")):
        if key:
            add_key(service.store, "other", ["read"])
            time.sleep(2.1)  # until the service knows
        with closing(Sender(url, key=key)) as sender, pytest.raises(ConfigError, match=url):
            sender.send([{"user": "zoe", "item": "jam"}])
    nobody = closing(Sender(f"http://127.0.0.1:{free_port()}", patience=0.2))
    with nobody as sender, pytest.raises(StoreError, match="gave up after"):
        sender.send([{"user": "zoe", "item": "jam"}])


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for library, url in (("redis", "redis://127.0.0.1"), ("confluent_kafka", "kafka://127.0.0.1:1")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingDependencyError, match=r"pip install .*\[streams\]'"):
            open_source(url, "s")


def test_an_unknown_broker_is_refused() -> None:
    with pytest.raises(ConfigError, match="redis://"):
        open_source("amqp://127.0.0.1", "s")


def test_keys_of_long_names_stay_short() -> None:
    assert key_of("redis:s:1-0") == "redis:s:1-0"
    assert len(key_of("kafka:" + "x" * 249 + ":12:123456789")) == 64


def test_settings_are_read_from_a_file(tmp_path: Path) -> None:
    from crossaisle.cli.service.streams import settings_of

    file = tmp_path / "k.properties"
    file.write_text("# a comment\nsasl.mechanism = PLAIN\n\nsasl.password=a=b\n")
    assert settings_of(file) == {"sasl.mechanism": "PLAIN", "sasl.password": "a=b"}
    file.write_text("nonsense\n")
    with pytest.raises(ConfigError, match="line 1"):
        settings_of(file)
