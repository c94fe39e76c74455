"""Units of time, for modules that must not load anything heavy."""

SECONDS_PER_DAY = 86_400.0
