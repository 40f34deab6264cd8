from django.db import migrations


def names_become_models(apps, schema_editor):
    model = apps.get_model('catalog', 'CatalogModel')
    for name in apps.get_model('catalog', 'CatalogName').objects.filter(alias=None, catalogmodel=None):
        model(catalogname_ptr_id=name.pk).save_base(raw=True, force_insert=True)


def aliases_are_dropped(apps, schema_editor):
    """The shape before knew models only."""
    for alias in apps.get_model('catalog', 'Alias').objects.all():
        alias.delete()


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0002_aliases'),
    ]

    operations = [
        migrations.RunPython(names_become_models, aliases_are_dropped),
    ]
