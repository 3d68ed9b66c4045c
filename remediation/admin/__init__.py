"""Editing of what Homeostat knows: one file per family of models."""

from remediation.admin import people, playbooks, record, rules, services, site, sources

__all__ = ["people", "playbooks", "record", "rules", "services", "site", "sources"]
