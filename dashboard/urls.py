"""The site map."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.i18n import set_language

from dashboard.live import views as live
from dashboard.pages import (
    acknowledging,
    approvals,
    audit,
    backtest,
    backtest_result,
    by_hand,
    demo,
    freeze,
    holding,
    incident,
    incidents,
    labels,
    login,
    overview,
    palette,
    playbooks,
    rules,
    saved_views,
    service,
    system,
)

handler403 = "dashboard.pages.refused.refused"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("incidents/", incidents.incidents, name="incidents"),
    path("incidents/acknowledge/", acknowledging.acknowledge_all, name="incidents-acknowledge"),
    path("incidents/<int:pk>/", incident.incident, name="incident"),
    path("incidents/<int:pk>/series.json", incident.series, name="incident-series"),
    path("incidents/<int:pk>/acknowledge/", incident.acknowledge, name="incident-acknowledge"),
    path("incidents/<int:pk>/take/", by_hand.take, name="incident-take"),
    path("incidents/<int:pk>/hand-back/", by_hand.hand_back, name="incident-hand-back"),
    path("incidents/<int:pk>/close/", incident.close, name="incident-close"),
    path("incidents/<int:pk>/notes/", incident.note, name="incident-note"),
    path("approvals/", approvals.approvals, name="approvals"),
    path("approvals/<int:pk>/approve/", approvals.approve, name="approve"),
    path("approvals/<int:pk>/reject/", approvals.reject, name="reject"),
    path("approvals/<int:pk>/ask-again/", by_hand.ask_again, name="ask-again"),
    path("services/<slug:name>/", service.service, name="service"),
    path("playbooks/", playbooks.playbooks, name="playbooks"),
    path("playbooks/<int:pk>/", playbooks.playbook, name="playbook"),
    path("playbooks/<int:pk>/autonomy/", playbooks.autonomy, name="playbook-autonomy"),
    path("problems/<int:pk>/close/", playbooks.close_problem, name="problem-close"),
    path("rules/", rules.rules, name="rules"),
    path("rules/<int:pk>/backtest/", backtest.backtest, name="backtest"),
    path("backtests/<int:pk>/", backtest_result.result, name="backtest-result"),
    path("backtests/<int:pk>/progress.json", backtest_result.progress, name="backtest-progress"),
    path("backtests/<int:pk>/series/<slug:name>.json", backtest_result.series, name="backtest-series"),
    path("backtests/<int:pk>/cancel/", backtest_result.cancel, name="backtest-cancel"),
    path("audit/", audit.audit, name="audit"),
    path("audit/history.jsonl", audit.export, name="audit-export"),
    path("system/", system.system, name="system"),
    path("system/targets/<int:pk>/automation/", holding.switch_on, name="automation-on"),
    path("system/sources/<int:pk>/no-storm/", holding.no_storm, name="no-storm"),
    path("freeze/", freeze.freeze, name="freeze"),
    path("unfreeze/", freeze.unfreeze, name="unfreeze"),
    path("demo/", demo.demo, name="demo"),
    path("demo/break/<slug:name>/", demo.break_, name="demo-break"),
    path("demo/mend/", demo.mend, name="demo-mend"),
    path("labels.json", labels.labels, name="labels"),
    path("palette/", palette.palette, name="palette"),
    path("views/", saved_views.save, name="view-save"),
    path("views/<int:pk>/delete/", saved_views.delete, name="view-delete"),
    path("live/fragments/", live.fragments, name="live-fragments"),
    path("language/", login_not_required(set_language), name="set_language"),
    path("login/", login.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("", include("dashboard.api.urls")),
]
