"""A site's figures, as Prometheus on its machine reads them."""

import re

import httpx

from tests.sites import Site


def value_of(text: str, name: str) -> float:
    [found] = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found)


def test_figures_of_a_running_site(site: Site) -> None:
    site.start_instance(name="box", credential=site.issue_credential("box")).wait_connected()
    with httpx.Client(base_url=f"http://localhost:{site.port}", trust_env=False) as client:
        assert client.get("/nothing-here").status_code == 404
        text = client.get("/metrics").text
        assert value_of(text, "motherfluxer_instances_online") == 1
        assert value_of(text, 'motherfluxer_http_responses_total{status_class="4xx"}') >= 1
        assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
        public = {"Host": f"{site.host('')}:{site.port}"}
        assert client.get("/metrics", headers=public).status_code == 401
