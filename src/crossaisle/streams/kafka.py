"""Kafka: a consumer group whose offsets are committed once the service has answered."""

from __future__ import annotations

import importlib
import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import Any

from crossaisle.errors import HOSTS, ConfigError, MissingDependencyError, StoreError, cleaned, shown
from crossaisle.streams.source import Message, moment, parsed

_LOG = logging.getLogger(__name__)
_SECRET = re.compile(r"password|secret|token|key|jaas|config|certificate")
"""Names of librdkafka settings whose values must not appear in messages."""
FLUSH_SECONDS = 30.0
PATIENCE = 0.2
"""Seconds between checks whether to stop."""


class KafkaSource:
    """One consumer of a consumer group."""

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        group: str = "crossaisle",
        start: str | None = None,
        settings: dict[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """See `open_source`. `start` may be an offset, which then applies to every partition."""
        try:
            import confluent_kafka
        except ImportError:
            raise MissingDependencyError("confluent-kafka", "streams", "reading from Kafka") from None
        self._kafka: Any = confluent_kafka
        servers = url.partition("://")[2].removesuffix("/")
        if "@" in servers:  # librdkafka would treat the login as part of the host, and log it
            raise ConfigError(
                f"{shown(url)}: user and password of a Kafka broker belong into the file of --settings "
                "(sasl.username, sasl.password)"
            )
        if not servers or not HOSTS.fullmatch(servers):
            raise ConfigError(f"{shown(url)}: a Kafka broker is at kafka://HOST:PORT")
        self._secrets = [text for name, text in (settings or {}).items() if _SECRET.search(name)]
        self.name = f"kafka://{servers} {shown(stream)}"
        self._stream, self._dead = stream, f"{stream}.dead"
        self._stop = stop or threading.Event()
        self._start = self._offset(start)
        self._moved: set[int] = set()
        self._common = {"bootstrap.servers": servers, **(settings or {})}
        reading = {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
        self._told = self._joined = False
        try:
            self._consumer = self._kafka.Consumer({**reading, **self._common}, logger=_LOG)
        except self._kafka.KafkaException as error:
            said = cleaned(error.args[0].str(), secrets=self._secrets)
            raise ConfigError(f"{self.name}: {said}") from None
        self._producer: Any = None
        self._consumer.subscribe([stream], on_assign=self._assigned)

    def _offset(self, start: str | None) -> int | None:
        if start is None:
            return None
        known = {"beginning": self._kafka.OFFSET_BEGINNING, "end": self._kafka.OFFSET_END}
        if start not in known and not start.isdigit():
            raise ConfigError(f"{start!r}: start at 'beginning', 'end' or a whole number")
        return int(known.get(start, start))

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Moves each partition to the requested start the first time it is assigned to this consumer."""
        self._joined = True
        for partition in partitions:
            if self._start is not None and partition.partition not in self._moved:
                partition.offset = self._start
                self._moved.add(partition.partition)
        consumer.assign(partitions)

    def read(self, most: int, wait: float) -> list[Message]:
        """Messages of the partitions currently assigned; while joining the group, may wait longer than
        `wait`."""
        while not self._joined and not self._stop.is_set():
            if out := self._taken(most, PATIENCE):
                return out
        return self._taken(most, wait)

    def _taken(self, most: int, wait: float) -> list[Message]:
        out = []
        for message in self._consumer.consume(most, timeout=wait):
            error = message.error()
            if error is None:
                out.append(self._message(message))
            elif error.fatal():
                raise StoreError(f"{self.name}: {error.str()}")
            elif not self._told:  # librdkafka keeps retrying by itself
                self._told = True
                _LOG.warning("%s: %s", self.name, error.str())
        if out:
            self._told = False
        return out

    def _message(self, message: Any) -> Message:
        place = f"kafka:{message.topic()}:{message.partition()}:{message.offset()}"
        known, milliseconds = message.timestamp()
        found = parsed(place, message.value(), message)
        return found._replace(time=moment(milliseconds)) if known else found

    def dead_letter(self, messages: Sequence[tuple[Message, str]]) -> None:
        """Writes to the topic `STREAM.dead`, with reason and position as headers. Waits for confirmation."""
        if self._producer is None:
            self._producer = self._kafka.Producer(
                {**self._common, "acks": "all", "enable.idempotence": False}, logger=_LOG
            )
            self._make_dead()
        failed: list[str] = []

        def told(error: Any, _: Any) -> None:
            if error is not None:
                failed.append(error.str())

        for message, reason in messages:
            self._producer.produce(
                self._dead,
                value=message.handle.value(),
                key=message.handle.key(),
                headers=[("dead-reason", reason.encode()), ("dead-id", message.place.encode())],
                on_delivery=told,
            )
        left = self._producer.flush(FLUSH_SECONDS)
        if left or failed:
            why = failed[0] if failed else "no answer"
            raise StoreError(f"{self.name}: {self._dead} could not be written ({why}); nothing is lost")

    def _make_dead(self) -> None:
        admin: Any = importlib.import_module("confluent_kafka.admin")
        client = admin.AdminClient(self._common, logger=_LOG)  # stays referenced until the response arrives
        made = client.create_topics([admin.NewTopic(self._dead, 1, 1)])
        try:
            made[self._dead].result(timeout=10)
        except self._kafka.KafkaException as error:
            if error.args[0].code() != self._kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                _LOG.warning("%s: %s", self._dead, error.args[0].str())

    def done(self, messages: Sequence[Message]) -> None:
        """Commits the offsets after these messages."""
        ends: dict[int, int] = {}
        for message in messages:
            partition = message.handle.partition()
            ends[partition] = max(ends.get(partition, 0), message.handle.offset() + 1)
        offsets = [self._kafka.TopicPartition(self._stream, p, offset) for p, offset in ends.items()]
        for attempt in range(3):
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
                return
            except self._kafka.KafkaException as error:
                _LOG.warning("%s: offsets not committed (%s)", self.name, error.args[0].str())
                if not error.args[0].retriable():
                    return  # redelivered to the partitions' new consumer; keys prevent double counting
                time.sleep(0.2 * (attempt + 1))

    def close(self) -> None:
        """Leaves the consumer group."""
        self._consumer.close()
