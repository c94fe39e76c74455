"""Experiments: start, list, show and stop them, and read their logs."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import Path, Request
from fastapi import Query as Parameter
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from crossaisle.api_types import ExperimentResults, NumberedList
from crossaisle.data.query import Query
from crossaisle.serve.api.dependencies import service_of, who_asks
from crossaisle.serve.api.requests.list_schemas import with_controls
from crossaisle.serve.api.requests.request_body import Checked, read, takes
from crossaisle.serve.api.requests.schemas import Body, at_most
from crossaisle.serve.api.responses import CONFLICT, answered, as_json
from crossaisle.serve.api.routing import Router
from crossaisle.serve.experiments.design import ARM_CONTROLS, Arm, Controls, Experiment

router = Router("/api/experiments", tags=["experiments"], scope="admin")
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PartName = Annotated[str, Field(min_length=1, max_length=64)]
PartWeights = Annotated[
    dict[PartName, Annotated[float, Field(ge=-1e6, le=1e6)]], Field(max_length=100), at_most(100)
]
EventKind = Annotated[str, Field(min_length=1, max_length=64)]
NameInPath = Annotated[str, Path(min_length=1, max_length=64, examples=["more-variety"])]
_DESCRIBED = ConfigDict(use_attribute_docstrings=True)


@with_controls(*ARM_CONTROLS)
class NewControls(Body):
    """Controls that an arm sets if the request leaves them open."""


class NewArm(Body):
    """One of the ways to recommend that are compared."""

    model_config = _DESCRIBED
    name: Name
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Its share of the users, relative to the other arms."""
    model: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """A saved model of the folder of models; null: the active one."""
    weights: PartWeights | None = None
    """Other weights of the model's parts, for this placement."""
    controls: NewControls = NewControls()
    explore: Annotated[float, Field(ge=0, le=10)] | None = None
    """Draw each place at random, with probability proportional to rank ** -explore; null: do not."""
    new_items: Annotated[int, Field(ge=1, le=5)] | None = None
    """With `explore`: so many items with few events join the draw, by Thompson sampling; null: none."""


class NewExperiment(Body):
    """What is compared, for which users, and by which metric."""

    model_config = _DESCRIBED | ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "more-variety",
                    "placement": "for_you",
                    "arms": [
                        {"name": "as-it-is"},
                        {"name": "varied", "controls": {"diversity": 0.3, "cross_share": 0.5}},
                    ],
                    "goal": ["cart", "purchase"],
                    "window_hours": 24,
                }
            ]
        }
    )
    name: Name
    kind: Literal["ab", "interleaving"] = "ab"
    """`ab`: every user gets one arm. `interleaving`: every user gets lists from both (team draft)."""
    placement: Literal["for_you", "discover", "buy_again"] = "for_you"
    arms: Annotated[list[NewArm], Field(min_length=2, max_length=8)]
    """The first one is what the others are compared with."""
    goal: Annotated[list[EventKind], Field(min_length=1, max_length=20, default=["cart", "purchase"])]
    """Kinds of events that count, on items that were shown before."""
    metric: Literal["conversion", "count", "value"] = "conversion"
    window_hours: Annotated[float, Field(gt=0, le=2400)] = 24.0
    """Events count this long after a user was first shown something."""

    def experiment(self, now: float) -> Experiment:
        """The experiment, started now; `ConfigError` where its parts contradict each other."""
        arms = [
            Arm(**(arm.model_dump() | {"controls": Controls(**arm.controls.model_dump())}))
            for arm in self.arms
        ]
        for arm in self.arms:
            given = arm.controls.model_dump(exclude_none=True)
            Query(placement=self.placement, user="anybody", **given)  # which controls a placement takes
        rest = self.model_dump(exclude={"arms", "goal"})
        return Experiment(**rest, arms=tuple(arms), goal=tuple(self.goal), started=now)


_NEW = Checked(NewExperiment)
_STATE: dict[str, Any] = {
    "experiment": {"name": "more-variety", "kind": "ab", "placement": "for_you", "started": 1767225600.0},
    "running": True,
    "users": 812,
    "pending": 96,
    "exposures": 2310,
    "arms": [
        {"name": "as-it-is", "users": 401, "mean": 0.12, "low": 0.06, "high": 0.18},
        {"name": "varied", "users": 411, "mean": 0.15, "low": 0.09, "high": 0.21},
    ],
    "comparisons": [
        {
            **{"arm": "varied", "baseline": "as-it-is", "difference": 0.03, "low": -0.05, "high": 0.11},
            **{"users": 812, "decided": False},
        }
    ],
    "off_policy": [],
    "broken": None,
}
_ONE = answered(ExperimentResults, _STATE) | CONFLICT
_MADE = answered(ExperimentResults, _STATE, status=201, what="It runs") | CONFLICT
_ALL = answered(list[ExperimentResults], [_STATE]) | CONFLICT
_LINE = {
    **{"seq": 17, "experiment": "more-variety", "arm": "varied", "user": "1609", "time": 1767225600.0},
    **{"items": ["1024306", "1007195"], "propensities": [1.0, 1.0], "share": 0.5, "ranked": [], "teams": []},
}
_LINES = answered(list[NumberedList], [_LINE]) | CONFLICT


@router.post("", status_code=201, openapi_extra=takes(_NEW), responses=_MADE)
async def create(request: Request) -> Response:
    """Starts an experiment. A placement can have only one at a time."""
    service = service_of(request)
    experiment = (await read(request, _NEW)).experiment(time.time())
    await service.changes.start_experiment(experiment, who_asks(request))
    return as_json(await service.experiments.results(experiment.name), 201)


@router.get("", responses=_ALL)
async def every(request: Request) -> Response:
    """All experiments with their results, the latest first."""
    experiments = service_of(request).experiments
    latest = sorted(experiments.all.values(), key=lambda e: -e.started)
    return as_json([await experiments.results(one.name) for one in latest])


@router.get("/{name}", responses=_ONE)
async def one(request: Request, name: NameInPath) -> Response:
    """An experiment and its results. Its intervals hold however often they are read."""
    return as_json(await service_of(request).experiments.results(name))


@router.post("/{name}/stop", responses=_ONE)
async def stop(request: Request, name: NameInPath) -> Response:
    """Ends an experiment: every user gets the active model's lists. Its results stay."""
    service = service_of(request)
    await service.changes.stop_experiment(name, who_asks(request))
    return as_json(await service.experiments.results(name))


@router.get("/{name}/exposures", responses=_LINES)
async def exposures(
    request: Request,
    name: NameInPath,
    after: Annotated[int, Parameter(ge=0, lt=2**62, description="The last `seq` that was read")] = 0,
    n: Annotated[int, Parameter(ge=1, le=10_000)] = 1000,
) -> Response:
    """The log of what was shown, with probabilities, for your own estimates."""
    found = await service_of(request).experiments.lines(name, after, n)
    return as_json([{"seq": seq, **shown._asdict()} for seq, shown in found])
