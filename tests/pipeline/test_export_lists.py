"""Lists for many users: complete, equal to single ones, resumable."""

from __future__ import annotations
