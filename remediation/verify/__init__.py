"""Verify: is the fault gone, and did nothing else break."""
