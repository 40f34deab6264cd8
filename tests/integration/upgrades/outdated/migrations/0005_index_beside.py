from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("outdated", "0004_index_that_locks")]
    operations = [AddIndexConcurrently("note", models.Index(fields=["size"], name="note_size"))]
