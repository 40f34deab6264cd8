"""The project starts with any one plugin left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ("accounts", "api", "catalog", "chat", "demo", "instances", "operations")
START = """
import django
django.setup()
from django.core.management import call_command
from django.conf import settings
from django.urls import get_resolver
call_command("check")
for urlconf in settings.SITE_URLCONFS.values():
    get_resolver(urlconf).url_patterns
import motherfluxer.asgi
call_command("migrate", verbosity=0)
import asyncio
from django.test import AsyncClient
from apps.router.live.runtime import running_router

async def visit():
    async with running_router():
        for site in ("", "user.", "admin.", "superadmin."):
            for path in ("/", "/accounts/login/", "/docs/", "/transparency", "/readyz"):
                host = site + settings.MOTHERFLUXER_DOMAIN
                answer = await AsyncClient().get(path, headers={"host": host})
                assert answer.status_code < 500 or path == "/readyz", (site, path)

asyncio.run(visit())
"""
WITHOUT_OUR_USERS = """
AUTH_USER_MODEL = "auth.User"
"""


@pytest.mark.parametrize("plugin", ["", *PLUGINS])
def test_the_project_starts_without(plugin: str, tmp_path: Path) -> None:
    settings = (
        "from motherfluxer.settings.dev import *\n"
        f"INSTALLED_APPS = [app for app in INSTALLED_APPS if app != 'apps.{plugin}']\n"
    )
    (tmp_path / "site_without.py").write_text(
        settings + (WITHOUT_OUR_USERS if plugin == "accounts" else "")
    )
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "site_without",
            "MOTHERFLUXER_VAR": str(tmp_path / "var"),
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
