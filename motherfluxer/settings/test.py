"""The test suite: as the embedded default, with a fast password hash and mail kept in memory."""

from motherfluxer.settings.base import *  # noqa: F403
from motherfluxer.settings.base import ALLOWED_HOSTS

ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
