from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outdated", "0005_index_beside")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("note", "text")],
            database_operations=[
                migrations.AlterField("note", "text", models.TextField(default="", db_default=""))
            ],
        )
    ]
