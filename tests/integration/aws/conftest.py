"""The stacks, made once against a stand-in for AWS that runs in this process."""

import json
from collections.abc import Iterator
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

from tests.integration.aws.templates import makeable, template_read

REGION: Final = "eu-central-1"
DOMAIN: Final = "motherfluxer.example"


@pytest.fixture(scope="package")
def stacks() -> Iterator[dict[str, dict[str, str]]]:
    """Make every stack; yield the physical id of each resource, by the stack's name."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        zone = boto3.client("route53").create_hosted_zone(Name=DOMAIN, CallerReference="1")
        certificate = boto3.client("acm").request_certificate(DomainName=DOMAIN)["CertificateArn"]
        told = {"Domain": DOMAIN, "AlarmAddress": "operator@motherfluxer.example"}
        site = {"Domain": DOMAIN, "HostedZone": zone["HostedZone"]["Id"], "ImageTag": "1.2.3"}
        yield {
            "network": _made("network", {}),
            "data": _made("data", {}),
            "site": _made("site", site, Certificate=certificate),
            "watch": _made("watch", {"AlarmAddress": told["AlarmAddress"]}),
            "names": _made("names", told, "us-east-1"),
        }


def _made(name: str, told: dict[str, str], region: str = REGION, **made: str) -> dict[str, str]:
    client: Any = boto3.client("cloudformation", region_name=region)
    client.create_stack(
        StackName=f"motherfluxer-{name}",
        TemplateBody=json.dumps(makeable(template_read(name), **made)),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in told.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    found = client.describe_stack_resources(StackName=f"motherfluxer-{name}")["StackResources"]
    return {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in found}
