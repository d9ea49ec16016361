from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fetchrules', '0015_fetched_before'),
    ]

    operations = [
        migrations.AddField(
            model_name='fetchrule',
            name='flags',
            field=models.BooleanField(default=False),
        ),
    ]
