"""The rows of the matrix: each breaks something, waits for what must hold, and returns how often it did so.

A scenario raises Unmet when something does not happen. What must never happen is the oracle's.
"""
