"""`PictureFiles`: pictures of a catalogue that are files, in a folder beside the model."""

from __future__ import annotations

from pathlib import Path, PurePath

FOLDER = "pictures"
"""Only what lies in this folder beside the model's is shown: a model may come from elsewhere, and what its
catalogue names may be any file of this machine."""
SIGNS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
"""How files of JPEG, PNG and WebP begin."""


class PictureFiles:
    """A folder of pictures. A catalogue names them by path, with a folder `pictures` in it: what follows it
    is looked for here, so that a model and its pictures can be moved together.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: may be made, or made to lead elsewhere, later."""
        self._folder = folder

    def of(self, image: str) -> Path | None:
        """The file that an item's `image` stands for; None for an address, and for what is not here."""
        parts = PurePath(image).parts
        if "://" in image or FOLDER not in parts[:-1]:
            return None
        after = len(parts) - parts[::-1].index(FOLDER)
        try:
            folder = self._folder.resolve()
            file = folder.joinpath(*parts[after:]).resolve()
            inside = file.is_relative_to(folder) and file.is_file()
        except (OSError, ValueError, RuntimeError):  # up to Python 3.12, RuntimeError: links in a circle
            return None
        return file if inside else None


def version_of(file: Path) -> str:
    """Another one whenever the file is written; "" where it is gone."""
    try:
        state = file.stat()
    except OSError:
        return ""
    return f"{state.st_mtime_ns:x}-{state.st_size:x}"


def read_file(file: Path, largest: int) -> bytes | None:
    """A picture file; None where it is too large, no picture, or gone."""
    try:
        with file.open("rb") as opened:
            content = opened.read(largest + 1)  # it may grow meanwhile
    except OSError:
        return None
    return content if len(content) <= largest and content.startswith(SIGNS) else None
