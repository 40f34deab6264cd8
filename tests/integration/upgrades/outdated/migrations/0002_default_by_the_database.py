from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outdated", "0001_initial")]
    operations = [migrations.AddField("note", "kind", models.TextField(db_default="plain"))]
