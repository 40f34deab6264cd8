"""The site with production's settings under gunicorn, behind a real proxy that ends TLS."""

import contextlib
import html
import os
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from tests.servers import free_port
from tests.sites import DOMAIN, Program, Site, wait_until

SITES: Final = ("", "user", "admin", "superadmin")
CADDY: Final = str(Path(sys.executable).with_name("caddy"))
CADDYFILE: Final = Path(__file__).resolve().parents[2] / "docker" / "Caddyfile"


class TlsProxy(Program):
    """The composition's proxy with an authority of its own, in front of a site.

    A request waits for a web process for no more than a second.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.port, self.http_port = free_port(), free_port()
        folder.mkdir()
        changes = {
            "admin off": f"admin off\nhttp_port {self.http_port}\nhttps_port {self.port}",
            "name web": "name localhost",
            "lb_try_duration 30s": "lb_try_duration 1s",
            "127.0.0.1:8081": f"127.0.0.1:{free_port()}",
        }
        text = CADDYFILE.read_text()
        for ours, tests in changes.items():
            assert ours in text
            text = text.replace(ours, tests)
        (folder / "Caddyfile").write_text(text)
        folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
        command = [CADDY, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        told = {
            "MOTHERFLUXER_DOMAIN": site.host(""),
            "WEB_PORT": str(site.port),
            "HTTPS_PORT": str(self.port),
        }
        super().__init__(command, {**os.environ, **folders, **told}, folder / "caddy.log")
        self.ca_file = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        wait_until(self._is_up, "the proxy serves all names")

    def trust(self) -> ssl.SSLContext:
        """Return a context that trusts this proxy's authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context

    def authority(self, name: str = "") -> str:
        """Return one of the four sites' host and port."""
        return f"{self.site.host(name)}:{self.port}"

    def client(self, name: str = "", **headers: str) -> httpx.Client:
        """Return a client of one of the four sites, over TLS."""

        def name_told(sent: httpx.Request) -> None:
            sent.extensions["sni_hostname"] = self.site.host(name)

        return httpx.Client(**self._options(name, headers), event_hooks={"request": [name_told]})

    def async_client(self, name: str = "", **headers: str) -> httpx.AsyncClient:
        """Return the same for an event loop."""

        async def name_told(sent: httpx.Request) -> None:
            sent.extensions["sni_hostname"] = self.site.host(name)

        return httpx.AsyncClient(
            **self._options(name, headers), event_hooks={"request": [name_told]}
        )

    def _options(self, name: str, headers: dict[str, str]) -> dict[str, Any]:
        return {
            "base_url": f"https://127.0.0.1:{self.port}",
            "headers": {"Host": self.authority(name), **headers},
            "verify": self.trust(),
            "trust_env": False,
            "timeout": 60,
        }

    def _is_up(self) -> bool:
        if not self.is_running:
            raise AssertionError(f"the proxy has ended:\n{self.output}")
        if not self.ca_file.exists():
            return False
        with contextlib.suppress(httpx.TransportError):
            for name in SITES:
                with self.client(name) as client:
                    client.get("/healthz")
            return True
        return False


def production_env(folder: Path) -> dict[str, str]:
    """Return what production needs, with the secrets that a prepared folder holds."""
    return {
        "DJANGO_SETTINGS_MODULE": "motherfluxer.settings.production",
        "SECRET_KEY": (folder / "secret-key").read_text().strip(),
        "FIELD_ENCRYPTION_KEYS": (folder / "field-encryption-key").read_text().strip(),
        "MOTHERFLUXER_DOMAIN": DOMAIN,
        "TRUSTED_PROXIES": "127.0.0.1",  # the proxy; a test that comes by ::1 is none
    }


@contextlib.contextmanager
def tls_proxy(site: Site) -> Iterator[TlsProxy]:
    """Start the proxy in front of a running site."""
    proxy = TlsProxy(site, site.folder / "proxy")
    try:
        yield proxy
    finally:
        proxy.kill9()


def form_sent(client: httpx.Client, path: str, form: dict[str, Any]) -> httpx.Response:
    """Send the form of a page, as a browser would from that page."""
    page = client.get(path).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    origin = f"https://{client.headers['Host']}"
    data = {**form, "csrfmiddlewaretoken": html.unescape(token[1])}
    return client.post(path, data=data, headers={"Origin": origin})
