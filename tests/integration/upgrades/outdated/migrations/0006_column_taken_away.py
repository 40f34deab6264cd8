from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("outdated", "0005_index_beside")]
    operations = [migrations.RemoveField("note", "text")]
