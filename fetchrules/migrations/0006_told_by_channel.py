from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("fetchrules", "0005_guarded_rows")]

    operations = [
        migrations.RemoveField(model_name="incident", name="told_at"),
        migrations.RemoveField(model_name="incident", name="told_end_at"),
    ]
