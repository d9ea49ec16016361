"""Where the panel's pages are."""

from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path, re_path
from django.views.i18n import set_language

from fetchrules.panel.pages import (
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

_LANGUAGES = "|".join(code for code, _ in django_settings.LANGUAGES)

urlpatterns = [
    path("", rules.index, name="rules"),
    path("rules/rows/", rules.rows, name="rules_rows"),
    path("rules/bulk/", rule_actions.bulk, name="rules_bulk"),
    path("rules/new/", rule.new, name="rule_new"),
    path("rules/preview/", rule.preview, name="rule_preview"),
    path("rules/<int:rule_id>/", rule.edit, name="rule"),
    path("rules/<int:rule_id>/on/", rule_actions.act, {"do": "on"}, name="rule_on"),
    path("rules/<int:rule_id>/off/", rule_actions.act, {"do": "off"}, name="rule_off"),
    path("rules/<int:rule_id>/poll/", rule_actions.act, {"do": "poll"}, name="rule_poll"),
    path("rules/<int:rule_id>/pause/", rule_actions.act, {"do": "pause"}, name="rule_pause"),
    path("rules/<int:rule_id>/resume/", rule_actions.act, {"do": "resume"}, name="rule_resume"),
    path("rules/<int:rule_id>/take_over/", rule_actions.act, {"do": "take_over"}, name="rule_take_over"),
    path("rules/<int:rule_id>/adopt/", rule_actions.adopt, name="rule_adopt"),
    path("rules/<int:rule_id>/take_up/", letters.take_up, name="rule_take_up"),
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
    path("journal/letters/sizes/", letters.declare_sizes, name="letters_sizes"),
    path("journal/audit/", audit.index, name="audit"),
    path("statistics/", statistics.index, name="statistics"),
    path("statistics/csv/", statistics.as_csv, name="statistics_csv"),
    path("settings/", settings.edit, name="settings"),
    path("settings/delivery/", settings.check_delivery, name="check_delivery"),
    path("settings/notices/", settings.check_notices, name="check_notices"),
    path("service/", service.strip_fragment, name="strip"),
    path("service/start/", service.start, name="service_start"),
    path("service/stop/", service.stop, name="service_stop"),
    path("help/", manual.index, name="manual"),
    path("help/manual/", manual.whole, name="manual_whole"),
    re_path(f"^help/manual/(?P<language>{_LANGUAGES})/$", manual.whole, name="manual_in"),
    path("help/images/<str:name>", manual.picture, name="manual_picture"),
    path("login/", account.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", account.PasswordChange.as_view(), name="password_change"),
    path("theme/", account.theme, name="theme"),
    path("language/", login_not_required(set_language), name="set_language"),
]
