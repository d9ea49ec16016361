"""Where the panel's pages are."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.i18n import set_language

from fetchrules.views import (
    account,
    audit,
    exports,
    journal,
    letters,
    manual,
    revisions,
    rule,
    rule_actions,
    rules,
    service,
    settings,
    statistics,
    text,
)

urlpatterns = [
    path("", rules.index, name="rules"),
    path("rules/rows/", rules.rows, name="rules_rows"),
    path("rules/bulk/", rule_actions.bulk, name="rules_bulk"),
    path("rules/new/", rule.new, name="rule_new"),
    path("rules/preview/", rule.preview, name="rule_preview"),
    path("rules/<int:rule_id>/", rule.edit, name="rule"),
    path("rules/<int:rule_id>/on/", rule_actions.switch_on, name="rule_on"),
    path("rules/<int:rule_id>/off/", rule_actions.switch_off, name="rule_off"),
    path("rules/<int:rule_id>/poll/", rule_actions.poll, name="rule_poll"),
    path("rules/<int:rule_id>/pause/", rule_actions.pause, name="rule_pause"),
    path("rules/<int:rule_id>/resume/", rule_actions.resume, name="rule_resume"),
    path("rules/<int:rule_id>/delete/", rule_actions.delete, name="rule_delete"),
    path("text/", text.edit, name="text"),
    path("text/download/", exports.download, name="text_download"),
    path("text/passwords/", exports.with_passwords, name="text_passwords"),
    path("text/history/", revisions.index, name="revisions"),
    path("text/history/<int:revision_id>/", revisions.show, name="revision"),
    path("text/history/<int:revision_id>/undo/", revisions.undo, name="revision_undo"),
    path("journal/", journal.index, name="journal"),
    path("journal/<int:run_id>/", journal.run, name="run"),
    path("journal/<int:run_id>/stop/", journal.stop, name="run_stop"),
    path("journal/letters/", letters.index, name="letters"),
    path("journal/letters/act/", letters.act, name="letters_act"),
    path("journal/audit/", audit.index, name="audit"),
    path("statistics/", statistics.index, name="statistics"),
    path("statistics/csv/", statistics.as_csv, name="statistics_csv"),
    path("settings/", settings.edit, name="settings"),
    path("settings/delivery/", settings.check_delivery, name="check_delivery"),
    path("service/", service.strip_fragment, name="strip"),
    path("service/start/", service.start, name="service_start"),
    path("service/stop/", service.stop, name="service_stop"),
    path("help/", manual.index, name="manual"),
    path("login/", account.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", account.PasswordChange.as_view(), name="password_change"),
    path("theme/", account.theme, name="theme"),
    path("language/", login_not_required(set_language), name="set_language"),
]
