"""The test suite: as the embedded default, in a folder of its own, with a fast password hash."""

import atexit
import os
import shutil
import tempfile

if "MOTHERFLUXER_VAR" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="motherfluxer-test-")
    os.environ["MOTHERFLUXER_VAR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)

from motherfluxer.settings.base import *  # noqa: F403
from motherfluxer.settings.base import (
    ALLOWED_HOSTS,
    DATABASES,
    REST_FRAMEWORK,
    REST_LIMITS,
    VAR_DIR,
)

ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# All tests come from one address.
DEMO_ADDRESS_LIMIT = DEMO_CEILING = "100000/hour"
DEMO_ADDRESS_RUNNING = 1000
ROUTER_APART = False  # a test's own loop has all of it, but where it asks for more
ACCOUNTS_IN_BACKGROUND = False
ACCOUNTS_EVEN_STEP_S = 0.0
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Tests share one cache; those about the limits set their own.
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": dict.fromkeys(REST_LIMITS)}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # A file, as in real life: threads that share one in memory lock each other out.
    DATABASES["default"]["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
