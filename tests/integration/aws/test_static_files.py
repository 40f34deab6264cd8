"""The function that answers /static/ from the bucket, run against a stand-in for it."""

import base64
import gzip
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from moto import mock_aws

from motherfluxer.security import POLICY
from tests.integration.aws.templates import properties_of, template_read

Answer = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
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
        yield module


@pytest.fixture
def answer(function: dict[str, Any]) -> Answer:
    """Return what asks the function as the load balancer does."""

    def ask(path: str, encoding: str = "", method: str = "GET") -> dict[str, Any]:
        event = {"httpMethod": method, "path": path, "headers": {"accept-encoding": encoding}}
        answered: dict[str, Any] = function["answer"](event, None)
        return answered

    return ask


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


@pytest.mark.parametrize("name", ["../secret", "", "a" * 1022, "%C3%A4" * 511, "a" * 9000])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_what_is_not_there_is_not_found(answer: Answer, name: str, encoding: str) -> None:
    assert answer(f"/static/{name}", encoding, "GET")["statusCode"] == 404


def test_name_that_s3_refuses_is_not_found_and_its_trouble_is_told(
    function: dict[str, Any], answer: Answer
) -> None:
    def refuse(status: int) -> None:
        said = {"Error": {"Code": "Refused"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        error = function["ClientError"](said, "GetObject")
        function["S3"].get_object = Mock(side_effect=error)

    refuse(400)
    assert answer("/static/img/logo.svg", "", "GET")["statusCode"] == 404
    refuse(503)
    with pytest.raises(function["ClientError"]):
        answer("/static/img/logo.svg", "", "GET")


def test_what_is_only_read_is_not_written(answer: Answer) -> None:
    assert answer("/static/css/base.aaaaaaaaaaaa.css", "", "POST")["statusCode"] == 405
