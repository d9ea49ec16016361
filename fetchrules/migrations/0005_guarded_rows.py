"""What the new columns of 0004 say of rows that were there before; apart from it, for PostgreSQL alters no table with pending rows."""

from django.db import migrations
from django.db.models import Q
from django.utils import timezone

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
        migrations.RunPython(allow_the_webhook_that_is_there, migrations.RunPython.noop),
        migrations.RunPython(note_what_was_told, tell_as_before),
    ]
