"""The function that answers /static/ from the bucket, run against a stand-in for it."""

import base64
import gzip
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from motherfluxer.security import POLICY
from tests.integration.aws.templates import properties_of, template_read

Answer = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """Load the function from the template, with a bucket that holds two releases' files."""
    (said,) = properties_of(template_read("site"), "AWS::Lambda::Function").values()
    variables = {**said["Environment"]["Variables"], "BUCKET": "static"}
    for name, value in {**variables, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="static")
        for key in ("css/base.aaaaaaaaaaaa.css", "css/base.bbbbbbbbbbbb.css", "img/logo.svg"):
            s3.put_object(Bucket="static", Key=key, Body=key.encode())
        s3.put_object(Bucket="static", Key="css/base.bbbbbbbbbbbb.css.gz", Body=gzip.compress(b"b"))
        module: dict[str, Any] = {}
        exec(compile(said["Code"]["ZipFile"], "index.py", "exec"), module)  # noqa: S102

        def ask(path: str, encoding: str = "", method: str = "GET") -> dict[str, Any]:
            event = {"httpMethod": method, "path": path, "headers": {"accept-encoding": encoding}}
            answered: dict[str, Any] = module["answer"](event, None)
            return answered

        yield ask


def test_files_of_both_releases_are_there_for_ever(answer: Answer) -> None:
    for name in ("css/base.aaaaaaaaaaaa.css", "css/base.bbbbbbbbbbbb.css"):
        got = answer(f"/static/{name}", "", "GET")
        assert got["statusCode"] == 200
        assert base64.b64decode(got["body"]) == name.encode()
        assert got["headers"]["Content-Type"] == "text/css; charset=utf-8"
        assert "immutable" in got["headers"]["Cache-Control"]


def test_whoever_takes_gzip_gets_it(answer: Answer) -> None:
    got = answer("/static/css/base.bbbbbbbbbbbb.css", "br, gzip", "GET")
    assert got["headers"]["Content-Encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(got["body"])) == b"b"


def test_headers_are_those_of_the_site(answer: Answer) -> None:
    headers = answer("/static/img/logo.svg", "gzip", "HEAD")["headers"]
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["Cache-Control"] == "max-age=60, public"


def test_what_is_not_there_is_not_found(answer: Answer) -> None:
    assert answer("/static/../secret", "", "GET")["statusCode"] == 404
    assert answer("/static/css/base.aaaaaaaaaaaa.css", "", "POST")["statusCode"] == 405
