"""Named benchmarks: one file per research question, each with a `run` that the command `benchmark` calls."""
