"""Generative models that answer questions: behind an OpenAI-compatible address, or a GGUF file."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from crossaisle.errors import (
    ArtifactError,
    ConfigError,
    MissingDependencyError,
    ServiceError,
    cleaned,
    shown,
)

KEY = "OPENAI_API_KEY"
"""Environment variable with the key of the address, where it needs one."""
TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
AGAIN = (408, 429, 500, 502, 503, 504)
LONGEST = 60
"""Tokens of an answer."""
CONTEXT = 1024
"""Tokens that a model in this process reads and writes at once."""


class Generator(Protocol):
    """Answers a question, always in the same way."""

    name: str
    """Tells answers of different models apart."""

    def answer(self, question: str) -> str:
        """The model's words."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


def open_generator(llm: str, model: str | None = None) -> Generator:
    """From the address of an API, such as http://127.0.0.1:8080/v1, or the path of a GGUF file."""
    if llm.startswith(("http://", "https://")):
        return RemoteModel(llm, model)
    path = Path(llm).expanduser()
    if path.suffix.lower() == ".gguf":
        return LocalModel(path)
    raise ConfigError(
        "a model must be an address that starts with http:// or https://, or a .gguf file "
        f"(found {shown(llm)!r})"
    )


class RemoteModel:
    """An OpenAI-compatible API: `POST chat/completions`, temperature 0. What fails for now is tried again."""

    def __init__(
        self, url: str, model: str | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`model`: None takes the first one that the API lists."""
        try:
            import httpx
        except ImportError:
            raise MissingDependencyError("httpx", "client", "asking a model behind an address") from None
        key = os.environ.get(KEY, "")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=120.0)
        except (ValueError, httpx.InvalidURL):
            raise ConfigError(f"{shown(url)!r} is not an address such as http://127.0.0.1:8080/v1") from None
        self._broken: tuple[type[Exception], ...] = (httpx.TransportError,)
        self._said: Callable[[object], str] = lambda text: cleaned(text, url, secrets=[key] if key else ())
        self._place, self._sleep, self._rng = shown(url), sleep, random.Random(0)
        self.name = model or self._first_listed()

    def _first_listed(self) -> str:
        listed = self._ask("GET", "models")
        try:
            return str(listed["data"][0]["id"])
        except (KeyError, IndexError, TypeError):
            raise ConfigError(f"{self._place} lists no model: name one with --llm-model") from None

    def answer(self, question: str) -> str:
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": LONGEST,
        }
        return _words_of(self._ask("POST", "chat/completions", body), self._place)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        why, status = "", 0
        for attempt in range(TRIES):
            if attempt:
                self._sleep(min(FIRST_WAIT * 2**attempt * self._rng.uniform(0.5, 1.5), LONGEST_WAIT))
            try:
                found = self._http.request(method, path, json=body)
            except self._broken as error:
                why, status = f"no answer ({self._said(error) or type(error).__name__})", 0
                continue
            if found.is_success:
                try:
                    return found.json()
                except ValueError:
                    raise ServiceError(f"{self._place}: the answer is not JSON", found.status_code) from None
            why, status = f"{found.status_code}: {self._said(found.text[:200])}", found.status_code
            if status not in AGAIN:
                break
        raise ServiceError(f"{self._place}: {why}", status)

    def close(self) -> None:
        self._http.close()


class LocalModel:
    """A GGUF file, read by llama.cpp in this process (`pip install 'crossaisle[gguf]'`)."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file")
        try:
            import xllamacpp
        except ImportError:
            raise MissingDependencyError("xllamacpp", "gguf", "a GGUF file") from None
        settings = xllamacpp.CommonParams()
        settings.model.path = str(path)
        settings.n_ctx, settings.n_parallel, settings.warmup, settings.verbosity = CONTEXT, 1, False, 0
        # It listens on a port of this machine, too, where nobody else is to ask.
        settings.api_keys = [secrets.token_hex()]
        try:
            self._server: Any = xllamacpp.Server(settings)
        except Exception as error:
            raise ArtifactError(f"{path}: llama.cpp cannot read it ({cleaned(error)})") from None
        self.name = f"{path.name} {path.stat().st_size}"

    def answer(self, question: str) -> str:
        body = {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": LONGEST,
        }
        return _words_of(self._server.handle_chat_completions(body), self.name)

    def close(self) -> None:
        del self._server


def _words_of(answer: Any, place: str) -> str:
    try:
        return str(answer["choices"][0]["message"]["content"] or "")
    except (KeyError, IndexError, TypeError):
        raise ServiceError(f"{place}: the answer has no choices[0].message.content", 0) from None
