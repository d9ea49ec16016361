from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def into_lists(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    rules = apps.get_model("fetchrules", "FetchRule").objects
    for row in rules.exclude(pin="").only("pin"):
        rules.filter(pk=row.pk).update(sslfingerprint=[row.pin])


def out_of_lists(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    rules = apps.get_model("fetchrules", "FetchRule").objects
    for row in rules.exclude(sslfingerprint=[]).only("sslfingerprint"):
        rules.filter(pk=row.pk).update(pin=row.sslfingerprint[0])


class Migration(migrations.Migration):
    dependencies = [("fetchrules", "0011_auth")]

    operations = [
        migrations.RenameField("fetchrule", "sslfingerprint", "pin"),
        migrations.AddField(
            "fetchrule",
            "sslfingerprint",
            models.JSONField(blank=True, default=list, verbose_name="pinned certificate"),
        ),
        migrations.RunPython(into_lists, out_of_lists),
        migrations.RemoveField("fetchrule", "pin"),
    ]
