"""From data to a served model and an honest report: what the commands call."""

from crossaisle.pipeline.fit import Fitted, fit
from crossaisle.pipeline.measure import measure
from crossaisle.pipeline.run import demo, measure_as_set, run

__all__ = ["Fitted", "demo", "fit", "measure", "measure_as_set", "run"]
