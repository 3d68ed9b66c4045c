"""Detect: pure functions from series to verdicts. No database, no client."""
