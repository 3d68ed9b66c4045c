from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("remediation", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="rule",
            name="managed_by",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="Who applies it from files (`manage.py rules apply --owner`); empty: made by hand.",
                max_length=200,
            ),
        ),
    ]
