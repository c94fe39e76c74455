from __future__ import annotations

import io
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from crossaisle.encoders.images.read_picture import MAX_BYTES, picture_bytes, read_picture
from crossaisle.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="needs  pip install 'crossaisle[image]'")


def file(kind: str = "PNG", size: tuple[int, int] = (6, 4), colour: object = (200, 10, 10)) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(out, kind)  # type: ignore[arg-type]
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            away = self.path == "/away"
            self.send_response(302 if away else 200)
            if away:
                self.send_header("Location", "http://elsewhere.invalid/x.png")
            self.end_headers()
            if not away:
                self.wfile.write(file())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_formats(kind: str) -> None:
    picture = read_picture(file(kind))
    assert (picture.mode, picture.size) == ("RGB", (6, 4))
    red, green, _ = picture.getpixel((2, 2))
    assert red > 190
    assert green < 30


def test_transparency_becomes_white() -> None:
    assert read_picture(file(colour=(0, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture", "is not a readable JPEG, PNG, WEBP picture"),
        (file("JPEG", (64, 64))[:300], "is not a readable"),
        (file("GIF"), "is not a readable"),
        (bomb(10_000, 10_000), "more than 50 million pixels"),
        (bomb(60_000, 60_000), "more than 50 million pixels"),
        (bomb(1, 70_000), "is more than 65,535 pixels high or wide"),
    ],
    ids=["words", "truncated", "gif", "large", "bomb", "rows"],
)
def test_reasons(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_picture(data)


def scans(count: int, *, segments: int = 0) -> bytes:
    """A progressive JPEG with its last scan repeated, valid however often."""
    out = io.BytesIO()
    Image.new("L", (64, 64), 128).save(out, "JPEG", progressive=True, quality=50)
    data = out.getvalue()
    start = data.rindex(b"\xff\xc4")
    last = data[start:-2]
    return data[:2] + b"\xff\xfe\x00\x04ab" * segments + data[2:-2] + last * count + b"\xff\xd9"


def test_a_jpeg_of_a_hundred_thousand_scans_is_refused_before_it_is_decoded() -> None:
    assert read_picture(scans(20)).size == (64, 64)
    start = time.monotonic()
    with pytest.raises(DataError, match="picture has more than 100 scans: save it again as an ordinary JPEG"):
        read_picture(scans(100_000))
    with pytest.raises(DataError, match="picture has more than 10,000 segments"):
        read_picture(scans(0, segments=200_000))
    assert time.monotonic() - start < 10


def test_filling_between_the_segments_of_a_jpeg_takes_no_time() -> None:
    data, start = file("JPEG", (64, 64)), time.monotonic()
    assert read_picture(data[:2] + b"\xff" * 60_000 + data[2:]).size == (64, 64)
    with pytest.raises(DataError, match="is not a readable"):
        read_picture(data[:2] + b"\xff" * 60_000)
    assert time.monotonic() - start < 5


def test_what_looks_like_scans_inside_a_segment_is_none() -> None:
    data = file("JPEG", (64, 64))
    comment = b"\xff\xda" * 5_000
    head = b"\xff\xe1" + (len(comment) + 2).to_bytes(2, "big") + comment
    assert read_picture(data[:2] + head + data[2:]).size == (64, 64)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_has_its_time_and_no_more(kind: str) -> None:
    with pytest.raises(DataError, match=r"^picture takes more than 0 s to decode$"):
        read_picture(file(kind, (640, 480)), seconds=0.0)


def test_reasons_hold_nothing_of_the_file() -> None:
    data = file()
    for broken in (data[:41] + b"SECR" + data[45:], data[:33] + b"\0\0\0\4SECR" + data[33:], b"SECR" * 99):
        with pytest.raises(DataError, match="is not a readable") as caught:
            read_picture(broken)
        assert "SECR" not in str(caught.value)


def test_paths(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(file())
    assert picture_bytes(path) == picture_bytes(str(path)) == file()
    with pytest.raises(DataError, match=r"b\.png.*: picture cannot be read \(No such file"):
        picture_bytes(tmp_path / "b.png")
    with pytest.raises(DataError, match="picture is empty"):
        picture_bytes(b"")
    with pytest.raises(DataError, match="larger than 20 MB"):
        picture_bytes(b"0" * (MAX_BYTES + 1))


def test_addresses(address: str) -> None:
    here = address.removeprefix("http://")
    assert picture_bytes(address + "/a.png", hosts=[here]) == file()
    with pytest.raises(DataError, match=r"may not be fetched from '127\.0\.0\.1:\d+': allow that host"):
        picture_bytes(address + "/a.png")
    with pytest.raises(DataError, match="redirects, which is not followed"):
        picture_bytes(address + "/away", hosts=[here])
    with pytest.raises(DataError, match="http and https only"):
        picture_bytes("file:///etc/hostname", hosts=["localhost"])
