"""Commands about the data behind a model: `labels`, `features`, `drift`, `user`."""
