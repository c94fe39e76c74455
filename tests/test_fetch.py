from __future__ import annotations

import hashlib
import socket
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from crossaisle import fetch
from crossaisle.download import download
from crossaisle.errors import FetchError, MissingDependencyError
from crossaisle.fetch import cache_dir, hub_folder, package_files, url_file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A folder that pip takes for its registry, holding `toy==1.0`, and the digest of its wheel."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    wheel = folder / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy/data/a.txt", "A")
        archive.writestr("toy/data/b.txt", "B")
        archive.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        archive.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("toy-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder, hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_files_of_a_package_are_kept(shelf: tuple[Path, str], cache: Path) -> None:
    folder, digest = shelf
    first = package_files("toy==1.0", digest, ["toy/data/a.txt"])
    second = package_files("toy==1.0", digest, ["toy/data/b.txt"])
    assert first == second == cache / "packages" / "toy-1.0"
    (folder / "toy-1.0-py3-none-any.whl").unlink()
    assert package_files("toy==1.0", digest, ["toy/data/a.txt", "toy/data/b.txt"]) == first
    assert {p.name: p.read_text() for p in first.iterdir()} == {"a.txt": "A", "b.txt": "B"}
    assert [p.name for p in first.parent.iterdir()] == ["toy-1.0"]
    assert "toy" not in sys.modules


def test_a_package_that_is_not_what_it_should_be(shelf: tuple[Path, str], cache: Path) -> None:
    _, digest = shelf
    with pytest.raises(
        FetchError, match=r"toy==1\.0: sha256 is [0-9a-f]+, expected 00: the file is not used"
    ):
        package_files("toy==1.0", "00", ["toy/data/a.txt"])
    with pytest.raises(FetchError, match=r"toy==1\.0: There is no item named 'toy/c\.txt'"):
        package_files("toy==1.0", digest, ["toy/c.txt"])
    assert not list((cache / "packages" / "toy-1.0").iterdir())


def test_a_package_that_is_not_to_be_had(shelf: tuple[Path, str]) -> None:
    with pytest.raises(FetchError, match=r"could not download the package absent==9 \(.*ERROR.*local path"):
        package_files("absent==9", "00", ["a"])


def test_a_disk_that_is_full(shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.shutil, "copyfileobj", full)
    with pytest.raises(FetchError, match="No space left on device"):
        package_files("toy==1.0", shelf[1], ["toy/data/a.txt"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "items.csv").write_text("id\n1\n")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web"))) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_url_is_fetched_once_and_verified(server: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"id\n1\n").hexdigest()
    file = url_file(f"{server}/items.csv?token=1", digest)
    assert file.name == "items.csv"
    (tmp_path / "web" / "items.csv").unlink()
    assert url_file(f"{server}/items.csv", digest).read_text() == "id\n1\n"
    file.write_text("id\n2\n")
    with pytest.raises(
        FetchError, match=r"items\.csv: has changed since it was fetched: remove it to fetch it"
    ):
        url_file(f"{server}/items.csv", digest)


def test_urls_that_fail(server: str) -> None:
    with pytest.raises(FetchError, match="expected 00: the file is not used"):
        url_file(f"{server}/items.csv", "00")
    with pytest.raises(FetchError, match=r"could not be fetched .*404"):
        url_file(f"{server}/absent.csv", "00")
    with pytest.raises(FetchError, match="only http and https"):
        url_file("file:///etc/hostname", "00")
    assert not list((cache_dir() / "urls").iterdir()) or not list((cache_dir() / "urls" / "00").iterdir())


def answering(talk: Callable[[socket.socket], None]) -> str:
    """The address of a server that says one thing to one client."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(4096)
            with suppress(OSError):
                talk(connection)

    Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}/a.csv"


@pytest.mark.parametrize("head", [b"Content-Length: 3000000000\r\n", b""])
def test_a_file_that_is_too_large_is_given_up_at_once(head: bytes, cache: Path) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while not head:
            connection.sendall(b"x" * 65_536)

    largest = 2_000_000_000 if head else 10_000_000
    size = "2 GB" if head else "10,000,000 bytes"
    with pytest.raises(FetchError, match=rf"a\.csv: could not be fetched \(it is larger than {size}\)"):
        url_file(answering(endless), "00", largest=largest)
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_a_server_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def trickle(connection: socket.socket) -> None:
        for _ in range(500):
            connection.sendall(b"x")
            time.sleep(0.02)

    def later(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        trickle(connection)

    with pytest.raises(OSError, match=r"no answer in 0\.2 s"):
        download(answering(trickle), tmp_path / "a", patience=0.2)
    with pytest.raises(OSError, match="slower than 10 KB a second"):
        download(answering(later), tmp_path / "a", patience=0.2)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("ftp://127.0.0.1/x", "redirects to ftp, which is not followed"),
        ("file:///etc/hostname", "the server answered 302"),
        ("http://u:s3cret@127.0.0.1/", "redirects to http, which is not followed"),
        ("/a.csv", "the server answered 302"),
    ],
)
def test_redirects_lead_nowhere_else(location: str, message: str) -> None:
    class Away(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Away) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        with pytest.raises(FetchError, match=f"could not be fetched .*{message}") as caught:
            url_file(f"http://127.0.0.1:{running.server_port}/a.csv", "00")
        running.shutdown()
    assert "s3cret" not in str(caught.value)


def test_a_redirect_is_followed_but_not_into_a_private_network(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = f"HTTP/1.1 302 Found\r\nLocation: {server}/items.csv\r\nContent-Length: 0\r\n\r\n".encode()
    digest = hashlib.sha256(b"id\n1\n").hexdigest()
    public = answering(lambda connection: connection.sendall(away))
    monkeypatch.setattr("crossaisle.download._leads_out", lambda url: url == public)
    with pytest.raises(FetchError, match="it redirects into a private network, which is not followed"):
        url_file(public, digest)
    monkeypatch.undo()
    assert url_file(answering(lambda connection: connection.sendall(away)), digest).read_bytes() == b"id\n1\n"


@pytest.mark.parametrize(
    "url",
    [
        "http://u:s3cret@127.0.0.1:1/a?token=s3cret",
        "http://127.0.0.1:1/a?token=s3cret",
        "ftp://u:s3cret@h/a",
        "http://[::1/a?token=s3cret",
        "http://127.0.0.1:1/a b?token=s3cret",
        "http://127.0.0.1:s3cret/a",
    ],
)
def test_what_is_secret_in_an_address_is_in_no_message(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        url_file(url, "00")
    assert "s3cret" not in str(caught.value)


def test_the_hub_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[hub\]'"):
        hub_folder("owner/name")


def test_the_cache_follows_the_users_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CROSSAISLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "crossaisle"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "crossaisle"
