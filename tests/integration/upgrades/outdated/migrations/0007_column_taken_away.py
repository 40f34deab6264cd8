from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("outdated", "0006_left_by_the_model")]
    operations = [migrations.RunSQL('ALTER TABLE "outdated_note" DROP COLUMN "text"')]
