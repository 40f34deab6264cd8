"""The Celery application: housekeeping."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")

app = Celery("motherfluxer")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
