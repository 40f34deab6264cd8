from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outdated", "0002_default_by_the_database")]
    operations = [migrations.AddField("note", "size", models.IntegerField(default=0))]
