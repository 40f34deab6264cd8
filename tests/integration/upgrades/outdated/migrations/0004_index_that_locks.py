from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outdated", "0003_default_by_python")]
    operations = [migrations.AddIndex("note", models.Index(fields=["kind"], name="note_kind"))]
