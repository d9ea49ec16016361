"""What the new columns of 0004 say of rows that were there before; apart from it, for PostgreSQL alters no table with pending rows."""

from django.db import migrations
from django.db.models import Q
from django.utils import timezone

from fetchrules.ruletext.lexer import Kind
from fetchrules.ruletext.line import parse_line
from fetchrules.rule import Encryption

CHANNELS = ("mail", "webhook")


def restrict_owned_rules(apps, schema_editor):
    rules = apps.get_model("fetchrules", "FetchRule").objects
    rules.exclude(owner=None).update(owned=True)
    owners = apps.get_model("auth", "User").objects.filter(is_staff=False)
    rules.filter(owner__in=owners).update(restricted=True)


def release_rules_that_wait_in_vain(apps, schema_editor):
    """A certificate without a pin, and a key that is not at hand, no longer wait for a person."""
    rules = apps.get_model("fetchrules", "FetchRule").objects
    unpinned = Q(last_error="certificate_changed", sslfingerprint="")
    waiting = rules.filter(unpinned | Q(last_error="password_unreadable"), pause="failure")
    waiting.update(pause="", failures=0, next_poll_at=timezone.now(), next_reason="backoff")


def demand_tls_where_sslcertck_is_written(apps, schema_editor):
    """The word alone used to count for nothing. The columns do not tell it from the default, but the rule's own line does."""
    rules = apps.get_model("fetchrules", "FetchRule").objects
    for rule in rules.filter(encryption=Encryption.AUTO, sslcertck=True, line__icontains="sslcertck").iterator():
        line = parse_line(rule.line)
        words = {(token.value or "").lower() for token in line.tokens if token.kind is Kind.WORD}
        if line.rule and line.rule.encryption is Encryption.STARTTLS and "starttls" not in words:
            rules.filter(pk=rule.pk).update(encryption=Encryption.STARTTLS)


def allow_the_webhook_that_is_there(apps, schema_editor):
    apps.get_model("fetchrules", "ServiceSettings").objects.exclude(alert_webhook="").update(webhook_internal=True)


def note_what_was_told(apps, schema_editor):
    notice = apps.get_model("fetchrules", "Notice")
    incidents = apps.get_model("fetchrules", "Incident").objects.exclude(told_at=None, told_end_at=None)
    for incident in incidents.iterator():
        for channel in CHANNELS:
            notice.objects.create(
                incident=incident, channel=channel, begun_at=incident.told_at, ended_at=incident.told_end_at
            )


def tell_as_before(apps, schema_editor):
    for notice in apps.get_model("fetchrules", "Notice").objects.select_related("incident").iterator():
        notice.incident.told_at, notice.incident.told_end_at = notice.begun_at, notice.ended_at
        notice.incident.save()
    apps.get_model("fetchrules", "Incident").objects.filter(rule=None).delete()


class Migration(migrations.Migration):

    dependencies = [
        ("fetchrules", "0004_guarded_neighbours"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunPython(restrict_owned_rules, migrations.RunPython.noop),
        migrations.RunPython(release_rules_that_wait_in_vain, migrations.RunPython.noop),
        migrations.RunPython(demand_tls_where_sslcertck_is_written, migrations.RunPython.noop),
        migrations.RunPython(allow_the_webhook_that_is_there, migrations.RunPython.noop),
        migrations.RunPython(note_what_was_told, tell_as_before),
    ]
