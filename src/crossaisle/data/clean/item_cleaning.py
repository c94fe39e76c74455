"""`ItemCleaning`: how an import cleaned its items' texts, kept to clean items that arrive later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossaisle.clean_config import CleanConfig
from crossaisle.config import NULLS
from crossaisle.data.clean.report import StepReport

SETTINGS = ("mojibake", "width", "nfkc", "chinese", "sizes")
"""Steps that treat each text on its own."""
LEARNT = ("brands", "abbreviations", "spelling", "categories", "structure", "taxonomy")
"""Steps that learn from a whole catalogue, or from a person."""


@dataclass(frozen=True, kw_only=True)
class ItemCleaning:
    """Cleaning settings that are saved with a data set and with its models."""

    config: CleanConfig = field(default_factory=CleanConfig)
    """Settings of the steps in `SETTINGS`; all others have their defaults."""
    learnt: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Step of `LEARNT` -> before -> after, for the steps that were on."""
    nulls: tuple[str, ...] = NULLS
    """Cells that mean "no value"."""
    roots: tuple[str, ...] = ()
    """Root categories without information."""
    levels: bool = False
    """Whether categories came as one column per level, so that a name may occur at two levels of a path."""

    @classmethod
    def of(cls, config: CleanConfig, reports: Iterable[StepReport], **more: Any) -> ItemCleaning:
        """The cleaning done by an import with these settings. `reports`: of its steps; `more`: the other
        fields."""
        learnt = {r.name: dict(r.learnt) for r in reports if r.name in LEARNT and r.setting != "report"}
        return cls(
            config=CleanConfig(**{name: getattr(config, name) for name in SETTINGS}),
            learnt=learnt,
            **more,
        )

    def state(self) -> dict[str, Any]:
        """JSON-ready; see `restore`."""
        return {
            "settings": {name: getattr(self.config, name) for name in SETTINGS},
            "learnt": {step: dict(of) for step, of in self.learnt.items()},
            "nulls": list(self.nulls),
            "roots": list(self.roots),
            "levels": self.levels,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any] | None) -> ItemCleaning:
        """The inverse of `state`; models saved without a state get the defaults."""
        if state is None:
            return cls()
        return cls(
            config=CleanConfig(**state["settings"]),
            learnt=state["learnt"],
            nulls=tuple(state["nulls"]),
            roots=tuple(state["roots"]),
            levels=state["levels"],
        )
