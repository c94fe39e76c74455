"""Named benchmarks: one module per research question, with a `run` that the command `benchmark` calls."""
