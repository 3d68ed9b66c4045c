"""Editing of what Homeostat knows: one file per family of models."""

from remediation.admin import holding, people, playbooks, record, rules, services, site, sources

__all__ = ["holding", "people", "playbooks", "record", "rules", "services", "site", "sources"]
