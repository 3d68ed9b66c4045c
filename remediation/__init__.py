"""The loop: observe, detect, decide, act, verify. Knows nothing of pages or websockets."""
