"""Stored names that pages show: marked here, so that they can be said in the reader's language (words.said)."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

AUTONOMIES = (_("shadow"), _("approve"), _("auto"))
SEVERITIES = (_("critical"), _("warning"), _("info"), _("none"))
NEEDS = (_("all"), _("any"))
"""How many conditions of a rule have to be bad."""
STATES = (_("pending"), _("firing"), _("resolved"), _("unknown"), _("ok"), _("bad"), _("recovering"))
OUTCOMES = (_("open"), _("acted"), _("shadowed"), _("held"), _("attached"), _("nothing"))
KINDS = (
    _("incident"),
    _("remediation"),
    _("rule"),
    _("playbook"),
    _("service"),
    _("freeze"),
    _("breaker"),
    _("storm"),
    _("maintenance"),
    _("target"),
    _("problem"),
    _("user"),
    _("login"),
)
"""What the lines of history are about."""
STAGES = (_("beat"), _("reconcile"), _("storms"), _("evaluate"), _("act"), _("notify"))
PLUGINS = (_("detector"), _("verb"), _("backend"), _("guard"))
FACTS = (
    _("active"),
    _("after s"),
    _("allowed"),
    _("allowed s"),
    _("answer age s"),
    _("at work"),
    _("available"),
    _("breaker"),
    _("changed"),
    _("conditions"),
    _("cooldown s"),
    _("dependencies"),
    _("done"),
    _("fence"),
    _("fenced"),
    _("fired"),
    _("for"),
    _("free mb"),
    _("from"),
    _("given"),
    _("host"),
    _("interval"),
    _("keep firing for"),
    _("known"),
    _("left s"),
    _("looked s ago"),
    _("min healthy"),
    _("minimum traffic"),
    _("need"),
    _("needed"),
    _("needed mb"),
    _("not well"),
    _("off"),
    _("pid"),
    _("pid before"),
    _("query"),
    _("rules"),
    _("rung"),
    _("share"),
    _("since s"),
    _("size"),
    _("spent"),
    _("state"),
    _("status"),
    _("stay"),
    _("taken by"),
    _("to"),
    _("took s"),
    _("traffic query"),
    _("turned"),
    _("until"),
    _("verdict age s"),
    _("window"),
    _("window s"),
    _("worker"),
)
"""Numbers of guards and facts of transitions, as `facts` writes them."""
