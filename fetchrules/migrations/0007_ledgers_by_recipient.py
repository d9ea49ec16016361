"""A ledger belongs to an account and a recipient, and a letter may have several addressees (docs/adr/0026).

On SQLite the table of letters is copied once, in the one transaction of this migration: if it is killed, the database is as before.
"""

from collections import defaultdict
from unicodedata import normalize

from django.db import migrations, models
from django.db.models import Max

IN_ONE_STATEMENT = 500


def name_recipients(apps, schema_editor):
    """Give each ledger the recipient whose rule reads it; where none does, that of its newest letter.

    Two ledgers of an account may come to one recipient. The one that a rule reads gets the address, or else the one with the newer
    letter. The other keeps all that it knows, under a name that is no address: so far it was found by nobody either.
    """
    rows = apps.get_model("fetchrules", "SourceMailbox")
    ledgers = defaultdict(list)
    for row in rows.objects.order_by("id"):
        ledgers[row.protocol, row.host, row.port, row.user, row.branch].append(row)
    of_rules = {}
    readers = apps.get_model("fetchrules", "FetchRule").objects.order_by("position", "id")
    for place, (row, recipient) in enumerate(readers.values_list("source_id", "recipient")):
        of_rules.setdefault(row, (place, recipient))
    newest = _newest_letters(apps.get_model("fetchrules", "Letter"))

    def claim(ledger):
        """(who comes first, the address) of a ledger."""
        read = [of_rules[row.pk] for row in ledgers[ledger] if row.pk in of_rules]
        if read:
            place, recipient = min(read)
            return (0, place), recipient
        letter, recipient = max((newest.get(row.pk, (0, "")) for row in ledgers[ledger]))
        return (1, -letter), recipient

    claims = sorted((*claim(ledger), ledger) for ledger in ledgers)
    taken = set()
    for _, recipient, (*account, branch) in claims:
        address = normalize("NFC", recipient.lower())
        if (*account, address) in taken:
            address = f"{address[:300]} {branch}".replace("@", " ")
        taken.add((*account, address))
        for row in ledgers[*account, branch]:
            row.recipient = address
    every = [row for some in ledgers.values() for row in some]
    rows.objects.bulk_update(every, ["recipient"], batch_size=IN_ONE_STATEMENT)


def _newest_letters(letters):
    """(id, recipient) of the newest letter of each row of SourceMailbox."""
    newest = dict(letters.objects.order_by().values_list("source_id").annotate(Max("id")))
    recipients = {}
    ids = sorted(newest.values())
    for start in range(0, len(ids), IN_ONE_STATEMENT):
        some = letters.objects.filter(id__in=ids[start : start + IN_ONE_STATEMENT])
        recipients.update(some.values_list("id", "recipient"))
    return {row: (letter, recipients[letter]) for row, letter in newest.items()}


class AddColumn(migrations.AddField):
    """AddField of a text that is empty so far, without a copy of the table on SQLite."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        kind = self.field.db_type(schema_editor.connection)
        schema_editor.execute(f"ALTER TABLE {table} ADD COLUMN {self.name} {kind} NOT NULL DEFAULT ''")


class RemoveWithTheNext(migrations.RemoveConstraint):
    """RemoveConstraint that on SQLite leaves the copy of the table to the next operation, which has to make one anyhow."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    dependencies = [("fetchrules", "0006_told_by_channel")]

    operations = [
        migrations.AddField("sourcemailbox", "recipient", models.CharField(max_length=320, default=""), preserve_default=False),
        migrations.RunPython(name_recipients),
        migrations.RemoveConstraint("sourcemailbox", "one_row_per_source"),
        migrations.RemoveField("sourcemailbox", "branch"),
        migrations.AddConstraint(
            "sourcemailbox",
            models.UniqueConstraint(
                fields=("protocol", "host", "port", "user", "folder", "recipient"), name="one_row_per_source"
            ),
        ),
        AddColumn("letter", "addressee", models.CharField(blank=True, default="", max_length=320)),
        RemoveWithTheNext("letter", "one_row_per_letter"),
        migrations.AddConstraint(
            "letter",
            models.UniqueConstraint(fields=("source", "epoch", "uid", "ord", "addressee"), name="one_row_per_letter"),
        ),
        migrations.AlterField(
            "letter",
            "doubt",
            models.CharField(blank=True, choices=[("short", "short"), ("passed", "passed")], default="", max_length=6),
        ),
        migrations.AlterField(
            "letter",
            "fate",
            models.CharField(
                choices=[("kept", "kept"), ("wanted", "wanted"), ("sent", "sent"), ("deleted", "deleted")],
                default="kept",
                max_length=7,
            ),
        ),
        migrations.AlterField(
            "letter",
            "state",
            models.CharField(
                choices=[
                    ("ready", "ready"),
                    ("sending", "sending"),
                    ("delivered", "delivered"),
                    ("held", "held"),
                    ("passed", "passed"),
                    ("read", "read"),
                ],
                max_length=9,
            ),
        ),
    ]
