"""The suite's settings with an app whose migrations break the rules."""

from motherfluxer.settings.test import *  # noqa: F403
from motherfluxer.settings.test import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.integration.upgrades.outdated"]
