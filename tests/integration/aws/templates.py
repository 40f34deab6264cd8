"""Reads the templates, and leaves out of them what the stand-in for AWS cannot make."""

from pathlib import Path
from typing import Any, Final

import cfnlint.decode

FOLDER: Final = Path(__file__).parents[3] / "docker" / "aws"
NAMES: Final = ("network", "data", "site", "watch", "names")
# moto makes none of these; what they say is asserted on the template.
NOT_MADE: Final = frozenset(
    {
        *("AWS::AutoScaling::ScalingPolicy", "AWS::CertificateManager::Certificate"),
        *("AWS::CloudWatch::Alarm", "AWS::ElastiCache::ParameterGroup"),
        *("AWS::ElastiCache::ReplicationGroup", "AWS::ElastiCache::SubnetGroup"),
        *("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SecretsManager::Secret"),
    }
)
# moto stumbles over these.
MISREAD: Final = {"AWS::RDS::DBInstance": {"DBParameterGroupName"}}
NOT_TOLD: Final = {"TargetGroupFullName"}

Json = dict[str, Any]


def template_read(name: str) -> Json:
    """Return a template, with every short form of a function written out."""
    template, problems = cfnlint.decode.decode(str(FOLDER / f"{name}.yaml"))
    assert template is not None, problems
    return dict(_plain(template))


def properties_of(template: Json, kind: str) -> dict[str, Json]:
    """Return the properties of each resource of a kind, by the resource's name."""
    found = template["Resources"].items()
    return {name: one["Properties"] for name, one in found if one["Type"] == kind}


def makeable(template: Json, **made: str) -> Json:
    """Leave out what the stand-in cannot make; who refers to it gets what was `made` by hand."""
    resources = template["Resources"].items()
    missing = (name for name, one in resources if one["Type"] in NOT_MADE)
    gone = {name: made.get(name, f"arn:aws:service:::{name}") for name in missing}
    kept = {name: _without_misread(one) for name, one in resources if name not in gone}
    return dict(_named({**template, "Resources": kept}, gone))


def _without_misread(resource: Json) -> Json:
    misread = MISREAD.get(resource["Type"], set())
    said = resource.get("Properties", {}).items()
    return {**resource, "Properties": {k: v for k, v in said if k not in misread}}


def _plain(value: Any) -> Any:
    """Turn cfn-lint's own kinds of dict, list and string into Python's."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value


def _referred(value: Json) -> tuple[str, str]:
    if isinstance(value.get("Fn::GetAtt"), list):
        return value["Fn::GetAtt"][0], value["Fn::GetAtt"][1]
    return (value["Ref"], "") if isinstance(value.get("Ref"), str) else ("", "")


def _named(value: Any, gone: dict[str, str]) -> Any:
    if isinstance(value, dict):
        name, attribute = _referred(value)
        if name in gone or attribute in NOT_TOLD:
            return gone.get(name, name)
        return {key: _named(one, gone) for key, one in value.items()}
    if isinstance(value, list):
        return [_named(one, gone) for one in value]
    for name, instead in gone.items() if isinstance(value, str) else ():
        value = value.replace(f"${{{name}}}", instead)
    return value
