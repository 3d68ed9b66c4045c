"""Decide: which playbook, which step, on which targets, and whether now."""
