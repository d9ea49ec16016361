from django.db import migrations, models
from django.db.models import F


def count_as_before(apps, schema_editor):
    rules = apps.get_model("fetchrules", "FetchRule").objects.using(schema_editor.connection.alias)
    rules.exclude(failing_since=None).update(counted_since=F("failing_since"))


class Migration(migrations.Migration):

    dependencies = [
        ('fetchrules', '0013_cheap_polls'),
    ]

    operations = [
        migrations.AddField(
            model_name='fetchrule',
            name='counted_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(count_as_before, migrations.RunPython.noop, elidable=True),
    ]
