"""What the tests of a rule's page share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from dashboard import urls
from dashboard.live import fragments
from remediation.models import Backtest, Rule

assert urls  # pages register their pieces when they are imported


def page(client: Client, rule: Rule, query: str = "") -> str:
    answer = client.get(f"/rules/{rule.pk}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def piece(rule: Rule, name: str) -> str:
    """One fragment of its page."""
    return fragments.render([f"rule-{name}:{rule.pk}"])[f"rule-{name}:{rule.pk}"].html


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def a_backtest(rule: Rule, **more: Any) -> Backtest:
    now = timezone.now()
    times = {"start": now - timedelta(hours=6), "end": now, "created_at": now, "seen_at": now}
    return Backtest.objects.create(rule=rule, body=rule.body(), by="ada", **times, **more)
