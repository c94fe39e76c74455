"""Requests with retries; problem details become errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crossaisle.api_types import Problem, read
from crossaisle.errors import ConfigError, MissingDependencyError, ServiceError, cleaned, shown

if TYPE_CHECKING:
    import httpx

AGAIN = (429, 503)
"""Statuses that mean "not now": the request was not processed, or a repeated one is recognized by its
keys."""
LONGEST_WAIT = 30.0
FIRST_WAIT = 0.1


class Transport:
    """One base URL, API key, shop and connection pool."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None,
        shop: str | None = None,
        timeout: float,
        retries: int,
        rng: random.Random | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingDependencyError("httpx", "client", "the client") from None
        self.name = shown(url)
        """The URL without secrets, for messages."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        if shop is not None:
            headers["x-shop"] = shop
        try:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise ValueError
            self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        except (ValueError, httpx.InvalidURL):
            raise ConfigError(
                f"{self.name!r} is no address of a service: url must start with http:// or https://, "
                "such as http://127.0.0.1:8080"
            ) from None
        self._said: Callable[[object], str] = lambda error: cleaned(error, url, secrets=[key] if key else ())
        self._broken: tuple[type[Exception], ...] = (httpx.TransportError,)
        self.retries, self._rng, self._sleep = retries, rng or random.Random(), sleep

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The response's JSON (None if empty); `ServiceError` for any status but 2xx.

        Every request may be sent twice: the service recognizes events by their keys, and all other requests
        are idempotent.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                answer = self._http.request(
                    method, path, params=given, json=body, content=content, headers=dict(headers or {})
                )
            except self._broken as error:
                if last:
                    why = self._said(error) or type(error).__name__
                    raise ServiceError(f"{self.name}: no answer ({why})", 0) from None
                self._wait(attempt, None)
                continue
            if answer.status_code in AGAIN and not last:
                self._wait(attempt, answer.headers.get("retry-after"))
                continue
            if answer.is_success:
                return answer.json() if answer.content else None
            raise _error(answer)
        raise AssertionError("unreachable")

    def _wait(self, attempt: int, asked: str | None) -> None:
        seconds = _seconds(asked)
        if seconds is None:
            # Exponential backoff with jitter, so that clients do not all retry at the same moment.
            seconds = FIRST_WAIT * 2**attempt * self._rng.uniform(0.5, 1.5)
        self._sleep(min(seconds, LONGEST_WAIT))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


def _seconds(text: str | None) -> float | None:
    """`Retry-After` as seconds: a number, or a date (RFC 9110)."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _error(answer: httpx.Response) -> ServiceError:
    try:
        problem = read(Problem, answer.json())
        rules = tuple(f"{e.get('where', '')}: {e.get('rule', '')}" for e in problem.errors)
        wait = _seconds(answer.headers.get("retry-after"))
        return ServiceError(
            problem.detail, answer.status_code, title=problem.title, rules=rules, retry_after=wait
        )
    except (ValueError, TypeError):
        return ServiceError(f"{answer.status_code}: {answer.text[:200]}", answer.status_code)
