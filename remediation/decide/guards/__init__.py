"""Guards: one file per reason not to act yet."""
