from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fetchrules', '0016_flags'),
    ]

    operations = [
        migrations.AddField(
            model_name='sourcemailbox',
            name='since',
            field=models.DateField(blank=True, null=True),
        ),
    ]
