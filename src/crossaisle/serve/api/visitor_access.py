"""Which visitor a publishable key reaches: one whose id nobody guesses, or one that the shop signed."""

from __future__ import annotations

import hashlib
import hmac
import re
import time

from crossaisle.serve.api.problems import RefusedError
from crossaisle.serve.store.api_keys import Key

RANDOM = re.compile(r"v-[0-9a-f]{32}")
"""An id that a page makes: 128 random bits. No shop names its own users like that."""
LONGEST_SIGNED = 31 * 86_400
"""Seconds for which a signature may be valid: what is in a page can be copied from it."""
_SIGNATURE = re.compile(r"([0-9]{1,11})\.([0-9a-f]{64})")


def check_visitor(key: Key | None, visitor: str, signature: str | None) -> None:
    """`RefusedError` where this key does not reach this visitor. Other keys reach every user anyway."""
    if key is None or not key.publishable:
        return
    if key.secret is None:
        if RANDOM.fullmatch(visitor) is None:
            rule = "a key without --sign serves visitors with random ids only: v- and 32 hex digits"
            raise RefusedError(403, rule)
        return
    parts, now = _SIGNATURE.fullmatch(signature or ""), time.time()
    if parts is None:
        raise RefusedError(403, "this key needs a signature: EXPIRES.HEX, made with its secret")
    signed = f"{parts[1]}.{visitor}".encode()
    if not hmac.compare_digest(hmac.new(key.secret.encode(), signed, hashlib.sha256).hexdigest(), parts[2]):
        raise RefusedError(403, "the signature is not one of this visitor and this key")
    if not now < int(parts[1]) <= now + LONGEST_SIGNED:
        rule = f"the signature has expired, or is valid for more than {LONGEST_SIGNED // 86_400} days"
        raise RefusedError(403, rule)
