"""Addresses lead to allowed hosts only, whatever is tried."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from crossaisle.encoders import fetching
from crossaisle.encoders.fetching import Hosts, fetch, is_public
from crossaisle.errors import ConfigError, DataError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
LARGEST = 1000


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one kind of answer; gives its port."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(4096)
                        talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)
    assert not thread.is_alive()


def says(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


def get(port: int, path: str = "/a.png", **more: float) -> bytes:
    hosts = Hosts.of([f"127.0.0.1:{port}"])
    return fetch(f"http://127.0.0.1:{port}{path}", hosts, largest=LARGEST, **more)  # type: ignore[arg-type]


def test_what_is_there_is_fetched() -> None:
    with serving(says(HEAD % 3 + b"abc")) as port:
        assert get(port) == b"abc"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with serving(says(chunks)) as port:
        assert get(port) == b"abc"


def test_what_is_sent_names_the_host_and_quotes_the_path() -> None:
    seen: list[bytes] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                seen.append(connection.recv(4096))
                connection.sendall(HEAD % 1 + b"x")

        thread = threading.Thread(target=run)
        thread.start()
        assert get(port, "/ä b.png?x=1&y=%20#part".replace(" ", "%20")) == b"x"
        thread.join()
    head = seen[0].decode()
    assert head.startswith("GET /%C3%A4%20b.png?x=1&y=%20 HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n" in head


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "redirects, which is not followed"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404"),
        (HEAD % 10 + b"abc", "ended too soon"),
        (b"SSH-2.0-x\r\n", "could not be fetched"),
        (b"", "could not be fetched"),
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes, message: str) -> None:
    with serving(says(answer)) as port, pytest.raises(DataError, match=message) as caught:
        get(port)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"SSH-2.0-SECRET\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 SECRET\r\n\r\n", "the answer is not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n" + b"X-SECRET: 1\r\n" * 200 + b"\r\n",
            "is not HTTP",
        ),
        (b"HTTP/1.1 200 " + b"SECRET" * 20_000 + b"\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 401 SECRET\r\n\r\n", "answered 401"),
        (b"HTTP/1.1 302 SECRET\r\nLocation: http://SECRET/\r\n\r\n", "redirects"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n", "could not be fetched"),
    ],
)
def test_errors_hold_nothing_of_what_the_host_said(answer: bytes, message: str) -> None:
    with serving(says(answer)) as port, pytest.raises(DataError, match=message) as caught:
        get(port)
    assert "SECRET" not in str(caught.value)


def test_no_more_is_read_than_is_allowed() -> None:
    for answer in (HEAD % 10**9, HEAD.replace(b"Content-Length: %d\r\n", b"") + b"x" * 10**6):
        with serving(says(answer)) as port:
            assert len(get(port)) == LARGEST + 1


def test_a_server_that_hangs_or_trickles_has_its_time() -> None:
    def trickle(connection: socket.socket) -> None:
        for _ in range(1000):
            connection.sendall(b"x")
            time.sleep(0.02)

    def later(connection: socket.socket) -> None:
        connection.sendall(HEAD % 900)
        trickle(connection)

    for talk in (lambda connection: connection.recv(1), trickle, later):
        start = time.monotonic()
        with serving(talk) as port:
            with pytest.raises(DataError, match=r"it took more than 0\.2 s"):
                get(port, seconds=0.2)
            assert time.monotonic() - start < 5


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match=r"could not be fetched from 127\.0\.0\.1:\d+ \(.*refused"):
        get(port)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Names lead to a private address; lists what was connected to."""
    reached: list[tuple[str, int]] = []

    def connect(place: tuple[str, int], *_: object) -> socket.socket:
        reached.append(place)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(fetching, "resolved", lambda host, port: ["10.0.0.7"])
    return reached


HOSTS = Hosts.of(["img.example", "10.0.0.7:9000", "::1", "localhost:81"])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://other.example/a.png", "may not be fetched from 'other.example'"),
        ("http://img.example.evil.example/a.png", "may not be fetched"),
        ("http://img.example:8080/a.png", "may not be fetched from 'img.example:8080'"),
        ("https://img.example:80/a.png", "may not be fetched"),
        ("http://10.0.0.7/a.png", "may not be fetched"),
        ("http://[::ffff:10.0.0.7]/a.png", "may not be fetched"),
        ("http://127.0.0.1/a.png", "may not be fetched"),
        ("http://127.1/", "may not be fetched"),
        ("http://2130706433/", "may not be fetched"),
        ("http://user:secret@img.example/a.png", "not contain a user or a password"),
        ("http://img.example@evil.example/a.png", "not contain a user or a password"),
        ("http://evil.example\\@img.example/", "not valid"),
        ("http://img.example\r\nX: y/", "not valid"),
        ("http://img.example:99999/", "not valid"),
        ("http://[::1/", "not valid"),
        ("http:///a.png", "not valid"),
        ("file:///etc/passwd", "http and https only"),
        ("ftp://img.example/a.png", "http and https only"),
        ("gopher://img.example/", "http and https only"),
        ("//img.example/a.png", "http and https only"),
        ("/etc/passwd", "http and https only"),
        ("data:image/png;base64,AA", "http and https only"),
    ],
)
def test_addresses_that_may_not_be_fetched(
    address: str, message: str, nowhere: list[tuple[str, int]]
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fetch(address, HOSTS, largest=LARGEST)
    assert "secret" not in str(caught.value)
    assert not nowhere


def test_a_name_must_lead_to_public_addresses(
    nowhere: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for places in (["10.0.0.7"], ["93.184.215.14", "127.0.0.1"], ["::ffff:169.254.169.254"], ["fe80::1%2"]):
        monkeypatch.setattr(fetching, "resolved", lambda host, port, places=places: places)
        with pytest.raises(DataError, match=r"img\.example does not lead to a public address"):
            fetch("http://img.example/a.png", HOSTS, largest=LARGEST)
    assert not nowhere
    # One that was allowed as a number, or is this machine by name, is meant.
    for address, reached in (
        ("http://10.0.0.7:9000/", ("10.0.0.7", 9000)),
        ("http://[::1]/", ("::1", 80)),
        ("http://localhost:81/", ("127.0.0.1", 81)),
        ("https://IMG.example.:443/a", ("93.184.215.14", 443)),
    ):
        monkeypatch.setattr(fetching, "resolved", lambda host, port, place=reached[0]: [place])
        with pytest.raises(DataError, match="refused"):
            fetch(address, HOSTS, largest=LARGEST)
        assert nowhere.pop() == reached


def test_a_name_is_resolved_once(nowhere: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second answer of a rebinding name server is never asked for."""
    answers = iter([["93.184.215.14", "93.184.215.15"], ["127.0.0.1"]])
    monkeypatch.setattr(fetching, "resolved", lambda host, port: next(answers))
    with pytest.raises(DataError, match="refused"):
        fetch("http://img.example/a.png", HOSTS, largest=LARGEST)
    assert nowhere == [("93.184.215.14", 80), ("93.184.215.15", 80)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fc00::1", False),
        ("fe80::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d70e", True),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "address",
    [
        *("0.1.2.3", "192.0.0.8", "192.0.0.170", "192.88.99.1", "198.19.0.1", "255.255.255.255"),
        *("::10.0.0.1", "::8.8.8.8", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8", "::ffff:10.0.0.1"),
        *("64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "2002:a00:1::", "2002:7f00:1::1"),
        *("2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1"),
        *("100::1", "5f00::1", "fec0::1", "fc00::1", "fe80::1", "ff02::1", "fe80::1%eth0"),
    ],
)
def test_networks_that_are_not_of_the_internet_at_large(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "192.0.1.1", "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::8.8.8.8"]
)
def test_neighbours_of_such_networks_are_public(address: str) -> None:
    assert is_public(address)


def test_hosts_are_hosts() -> None:
    assert Hosts.of(["IMG.Example"]).allows("https://img.example/a.png?token=1")
    assert Hosts.of(["[::1]:8000"]).allows("http://[0:0::1]:8000/")
    assert Hosts.of(["münchen.example"]).allows("http://xn--mnchen-3ya.example/")
    assert not Hosts.of([]).allows("http://img.example/")
    for wrong in ("https://img.example", "img.example/a", "", "*.example", "a@b", "img.example:x", "a b:c:d"):
        with pytest.raises(ConfigError, match="is not a host: write HOST or HOST:PORT"):
            Hosts.of([wrong])
