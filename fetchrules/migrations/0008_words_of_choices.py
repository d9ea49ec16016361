"""The words of choices are those of the panel. No table changes."""

from django.db import migrations, models

CHANNELS = [("mail", "E-mail"), ("webhook", "Webhook")]
REASONS = ["saved", "by_hand", "interval", "backoff", "server_wait", "overtaken"]
CAUSES = [("schedule", "schedule"), ("by_hand", "by hand"), ("saved", "rule saved"), ("command", "command line")]
STATES = [
    *(("queued", "Queued"), ("running", "Running"), ("done", "Done")),
    *(("failed", "Failed"), ("abandoned", "Abandoned")),
]


class Migration(migrations.Migration):

    dependencies = [("fetchrules", "0007_ledgers_by_recipient")]

    operations = [
        migrations.AlterField("channel", "name", models.CharField(choices=CHANNELS, max_length=7, unique=True)),
        migrations.AlterField("notice", "channel", models.CharField(choices=CHANNELS, max_length=7)),
        migrations.AlterField(
            "fetchrule",
            "next_reason",
            models.CharField(choices=[(reason, reason) for reason in REASONS], default="saved", max_length=12),
        ),
        migrations.AlterField("run", "cause", models.CharField(choices=CAUSES, default="schedule", max_length=8)),
        migrations.AlterField("run", "state", models.CharField(choices=STATES, default="queued", max_length=9)),
    ]
