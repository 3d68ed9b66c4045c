"""Who looks at what waits for approval at the moment. No state: it is kept beside the broker's messages, is forgotten
within seconds, and is simply not known where the broker is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from redis import Redis, RedisError

from dashboard.pages.answers import person
from dashboard.pages.words import ago, state_word
from remediation.models import Approval, Remediation
from remediation.states import RemediationState

log = logging.getLogger(__name__)

KNOWN_FOR_S = 20
"""How long somebody counts as looking after the last word of their browser, which gives one every 8 s."""
AT_ONCE = 50
NAMED = 3
WAIT_S = 0.3
REST_S = 10.0
"""After a broker did not answer it is left alone for so long: a page must not become slow for this."""
KEY = "homeostat:looking:{}"

_rests_until: dict[str, float] = {}


@require_POST
def looking(request: HttpRequest) -> JsonResponse:
    """Says that this person looks at the plans in `pk`, and answers by plan what there is to know: `looking`, who else
    does, and `answered`, what became of one that waits no longer. In words, as the page shows them."""
    pks = [int(pk) for pk in request.POST.getlist("pk")[:AT_ONCE] if pk.isdecimal() and len(pk) < 19]
    others = seen(pks, name=person(request).username)
    answer = {
        "looking": {str(pk): _who_looks(names) for pk, names in others.items() if names},
        "answered": {str(pk): text for pk, text in _answered(pks).items()},
    }
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def seen(pks: Sequence[int], *, name: str) -> Mapping[int, list[str]]:
    """Note that `name` looks at these, and return who else does. Empty where nobody can be asked."""
    url, now = settings.HOMEOSTAT_REDIS_URL, time.time()
    if not pks or time.monotonic() < _rests_until.get(url, 0):
        return {}
    try:
        with _client(url).pipeline(transaction=False) as pipe:
            for key in map(KEY.format, pks):
                pipe.zadd(key, {name: now})
                pipe.zremrangebyscore(key, "-inf", now - KNOWN_FOR_S)
                pipe.expire(key, KNOWN_FOR_S)
                pipe.zrange(key, 0, -1)
            found = pipe.execute()[3::4]
    except (RedisError, OSError) as error:
        log.debug("nobody knows who looks: %s", error)
        _rests_until[url] = time.monotonic() + REST_S
        return {}
    return {
        pk: sorted(one.decode() for one in names if one.decode() != name) for pk, names in zip(pks, found, strict=True)
    }


@lru_cache(maxsize=4)
def _client(url: str) -> Redis:
    return Redis.from_url(url, socket_connect_timeout=WAIT_S, socket_timeout=WAIT_S)


def _who_looks(names: Sequence[str]) -> str:
    shown, more = list(names[:NAMED]), len(names) - NAMED
    if more > 0:
        shown.append(ngettext("%(count)d more", "%(count)d more", more) % {"count": more})
    text = ngettext("%(names)s looks at this now", "%(names)s look at this now", len(names))
    return text % {"names": get_text_list(shown, _("and"))}


def _answered(pks: Sequence[int]) -> dict[int, str]:
    over = Remediation.objects.filter(pk__in=pks).exclude(state=RemediationState.AWAITING_APPROVAL).order_by()
    states = dict(over.values_list("pk", "state"))
    answers = Approval.objects.filter(remediation__in=states).select_related("user").order_by("at") if states else ()
    last = {one.remediation_id: one for one in answers}
    return {pk: what_became(state, last.get(pk)) for pk, state in states.items()}


def what_became(state: str, last: Approval | None) -> str:
    """Who was quicker, in words. last: the answer that came last, None where nobody gave one."""
    now_is = _("It is “%(state)s” now.") % {"state": state_word(state)}
    if last is None:
        return f"{_('It waits no longer.')} {now_is}"
    said = _("%(name)s approved it %(ago)s.") if last.answer == "approve" else _("%(name)s rejected it %(ago)s.")
    age_s = (timezone.now() - last.at).total_seconds()
    return f"{said % {'name': last.user.username, 'ago': ago(age_s)}} {now_is}"
