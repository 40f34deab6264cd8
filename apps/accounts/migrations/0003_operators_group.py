"""Creates the group whose members are operators."""

from django.db import migrations


def create_group(apps, schema_editor):
    apps.get_model("auth", "Group").objects.get_or_create(name="operators")


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0002_api_key"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        # Backwards nothing: the group may hold members by then.
        migrations.RunPython(create_group, migrations.RunPython.noop),
    ]
