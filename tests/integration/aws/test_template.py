"""What the templates say that the stand-in for AWS does not make."""

import json
import re
from typing import Any

import pytest

from apps.api.conf import CONF as API
from apps.chat.conf import CONF as CHAT
from apps.router.core.settings import CoreSettings
from motherfluxer.env import SECRETS
from motherfluxer.server import PING_INTERVAL_S, PING_TIMEOUT_S
from tests.integration.aws.templates import FOLDER, NAMES, Json, properties_of, template_read

NETWORK, DATA, SITE, WATCH, OUTSIDE = (template_read(name) for name in NAMES)
ALL = dict(zip(NAMES, (NETWORK, DATA, SITE, WATCH, OUTSIDE), strict=True))
# The largest body that CloudFormation takes without a bucket.
MAX_BODY_BYTES = 51_200


def attributes(said: list[dict[str, Any]]) -> dict[str, Any]:
    """Return attributes by their key."""
    return {one["Key"]: one["Value"] for one in said}


def statements(value: Any) -> list[Json]:
    """Return every statement of every policy in a part of a template."""
    if isinstance(value, list):
        return [found for one in value for found in statements(one)]
    if not isinstance(value, dict):
        return []
    own = value.get("Statement", [])
    return [*own, *(found for one in value.values() for found in statements(one) if one is not own)]


@pytest.mark.parametrize("name", NAMES)
def test_template_needs_no_bucket(name: str) -> None:
    assert len((FOLDER / f"{name}.yaml").read_bytes()) < MAX_BODY_BYTES


def test_each_subnet_has_the_routes_of_its_kind() -> None:
    pairs = {
        (one["SubnetId"]["Ref"], one["RouteTableId"]["Ref"])
        for one in properties_of(NETWORK, "AWS::EC2::SubnetRouteTableAssociation").values()
    }
    assert pairs == {
        *(("PublicSubnetA", "PublicRoutes"), ("PublicSubnetB", "PublicRoutes")),
        *(("HostSubnetA", "HostRoutesA"), ("HostSubnetB", "HostRoutesB")),
        *(("DataSubnetA", "DataRoutes"), ("DataSubnetB", "DataRoutes")),
    }


def test_no_host_has_a_public_address() -> None:
    subnets = properties_of(NETWORK, "AWS::EC2::Subnet").values()
    assert not any(one["MapPublicIpOnLaunch"] for one in subnets)


def test_database_forces_tls_and_cannot_be_deleted_by_mistake() -> None:
    (database,) = properties_of(DATA, "AWS::RDS::DBInstance").values()
    assert database["DeletionProtection"] is True
    assert DATA["Resources"]["Database"]["DeletionPolicy"] == "Snapshot"
    assert DATA["Resources"]["Database"]["UpdateReplacePolicy"] == "Snapshot"
    assert database["DBParameterGroupName"] == {"Ref": "DatabaseParameters"}
    (parameters,) = properties_of(DATA, "AWS::RDS::DBParameterGroup").values()
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    assert parameters["Family"] == f"postgres{database['EngineVersion'].partition('.')[0]}"
    assert "resolve:secretsmanager" in json.dumps(database["MasterUserPassword"])


def test_database_writes_into_logs_that_end_some_day() -> None:
    groups = properties_of(DATA, "AWS::Logs::LogGroup")
    (database,) = properties_of(DATA, "AWS::RDS::DBInstance").values()
    written = {
        f"/aws/rds/instance/{database['DBInstanceIdentifier']}/{kind}"
        for kind in database["EnableCloudwatchLogsExports"]
    }
    assert {one["LogGroupName"] for one in groups.values()} == written
    assert {one["RetentionInDays"] for one in groups.values()} == {90}
    assert {*DATA["Resources"]["Database"]["DependsOn"]} == {*groups}
    (key,) = properties_of(DATA, "AWS::KMS::Key").values()
    (logs,) = [one for one in key["KeyPolicy"]["Statement"] if one["Sid"] == "Logs"]
    assert "log-group:/aws/rds/instance/motherfluxer/*" in json.dumps(logs["Condition"])


def test_redis_refuses_rather_than_forgets() -> None:
    (redis,) = properties_of(DATA, "AWS::ElastiCache::ReplicationGroup").values()
    assert redis["TransitEncryptionEnabled"] is True
    assert redis["TransitEncryptionMode"] == "required"
    assert redis["AtRestEncryptionEnabled"] is True
    assert redis["MultiAZEnabled"] is True
    assert redis["AutomaticFailoverEnabled"] is True
    assert redis["NumCacheClusters"] == 2
    assert "NumNodeGroups" not in redis
    assert "resolve:secretsmanager" in json.dumps(redis["AuthToken"])
    (parameters,) = properties_of(DATA, "AWS::ElastiCache::ParameterGroup").values()
    assert parameters["Properties"] == {"maxmemory-policy": "noeviction"}


def test_secrets_are_generated_where_nobody_else_gives_them_out() -> None:
    secrets = {
        one["Name"].removeprefix("motherfluxer/"): one
        for one in properties_of(DATA, "AWS::SecretsManager::Secret").values()
    }
    given = {"SECRET_KEY_FALLBACKS", "EMAIL_URL", "SENTRY_DSN", "SOCIAL_PROVIDERS"}
    made = {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "METRICS_TOKEN"}
    composed = {"DATABASE_URL", "REDIS_URL"}  # by hosts, of the two below
    assert {*secrets} == {*given, *made, "DATABASE_PASSWORD", "REDIS_TOKEN"}
    unused = {"BACKUP_KEY"}  # the bucket's own key encrypts the dumps that hosts make
    assert {*SECRETS} == {*given, *made, *composed, *unused}
    script = SITE["Mappings"]["Host"]["Script"]["Text"]
    (listed,) = re.findall(r"for name in (SECRET_KEY .* SOCIAL_PROVIDERS); do\n +echo", script)
    assert {*listed.split()} == {*SECRETS} - unused
    for name, one in secrets.items():
        assert one["KmsKeyId"] == {"Ref": "Key"}
        assert ("GenerateSecretString" in one) == (name not in given)


def test_what_is_kept_does_not_bar_a_first_try_from_being_repeated() -> None:
    kept = {
        name
        for name, one in DATA["Resources"].items()
        if one.get("UpdateReplacePolicy") == "Retain"
    }
    assert kept >= {"Key", "SecretKey", "StaticBucket", "BackupsBucket", "LogsBucket", "Images"}
    policies = {DATA["Resources"][name]["DeletionPolicy"] for name in kept}
    assert policies == {"RetainExceptOnCreate"}


def test_new_account_has_enough_of_the_function() -> None:
    (function,) = properties_of(SITE, "AWS::Lambda::Function").values()
    assert "ReservedConcurrentExecutions" not in function


@pytest.mark.parametrize("bucket", ["StaticBucket", "BackupsBucket", "LogsBucket"])
def test_bucket_is_private_versioned_and_asked_over_tls_only(bucket: str) -> None:
    said = properties_of(DATA, "AWS::S3::Bucket")[bucket]
    assert said["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert said["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = said["LifecycleConfiguration"]["Rules"]
    assert all("NoncurrentVersionExpiration" in one for one in rules)
    policies = properties_of(DATA, "AWS::S3::BucketPolicy").values()
    (policy,) = [one for one in policies if one["Bucket"] == {"Ref": bucket}]
    denied = policy["PolicyDocument"]["Statement"][0]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(denied["Resource"]) == 2


def test_balancer_holds_quiet_connections_longer_than_they_are_quiet() -> None:
    (balancer,) = properties_of(SITE, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    said = attributes(balancer["LoadBalancerAttributes"])
    quiet_s = max(PING_INTERVAL_S + PING_TIMEOUT_S, CHAT.keep_alive_s, API.keep_alive_s)
    # An answer that is not streamed is silent while it waits, and then while it is written.
    quiet_s = max(quiet_s, 2 * CoreSettings().max_wait_program_s)
    idle_s = int(said["idle_timeout.timeout_seconds"])
    assert idle_s > quiet_s
    # It is the balancer that closes connections, and no web process under a request.
    kept = re.search(r"\bKEEP_ALIVE_SECONDS=(\d+)", (FOLDER / "site.yaml").read_text())
    assert kept
    assert int(kept[1]) > idle_s
    assert said["deletion_protection.enabled"] == "true"
    assert said["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert said["access_logs.s3.enabled"] == "true"


def test_certificate_covers_the_four_names() -> None:
    (certificate,) = properties_of(SITE, "AWS::CertificateManager::Certificate").values()
    names = [certificate["DomainName"], *certificate["SubjectAlternativeNames"]]
    validated = [one["DomainName"] for one in certificate["DomainValidationOptions"]]
    assert len(names) == 4
    assert validated == names
    assert certificate["ValidationMethod"] == "DNS"


def test_the_clock_never_ticks_twice_and_routers_are_never_fewer_than_two() -> None:
    groups = properties_of(SITE, "AWS::AutoScaling::AutoScalingGroup")
    clock = groups["HousekeepingHosts"]
    assert clock["InstanceMaintenancePolicy"]["MaxHealthyPercentage"] == 100
    assert groups["RouterHosts"]["InstanceMaintenancePolicy"]["MinHealthyPercentage"] == 100
    for one in groups.values():
        hooks = {h["LifecycleHookName"]: h for h in one["LifecycleHookSpecificationList"]}
        # A host that never serves is not let in, and one that hangs is let go.
        assert hooks["launching"]["DefaultResult"] == "ABANDON"
        assert hooks["terminating"]["DefaultResult"] == "CONTINUE"
    (scaling,) = properties_of(SITE, "AWS::AutoScaling::ScalingPolicy").values()
    assert scaling["AutoScalingGroupName"] == {"Ref": "WebHosts"}


def is_wide(resource: Any) -> bool:
    """Return whether a resource is more than one thing with what is in it."""
    if isinstance(resource, dict):
        return is_wide(list(resource.values()))
    if isinstance(resource, list):
        return any(is_wide(one) for one in resource)
    return isinstance(resource, str) and "*" in re.sub(r"(?<=.)[/:]\*$", "", resource)


@pytest.mark.parametrize(
    ("resource", "is_so"),
    [
        *(("*", True), (["*"], True), ({"Fn::Sub": "arn:x:*:name/y"}, True), ("arn:b-*", True)),
        *((["arn:bucket", "arn:bucket/*"], False), ({"Ref": "Key"}, False)),
    ],
)
def test_wide_resource_is_told_from_a_narrow_one(resource: Any, is_so: bool) -> None:
    assert is_wide(resource) == is_so


@pytest.mark.parametrize("name", NAMES)
def test_no_right_is_wider_than_it_must_be(name: str) -> None:
    for resource, said in ALL[name]["Resources"].items():
        reasons = said.get("Metadata", {}).get("wildcards", {})
        allowed = [one for one in statements(said.get("Properties")) if one["Effect"] == "Allow"]
        wide = {one.get("Sid") for one in allowed if is_wide(one.get("Resource"))}
        assert wide == {*reasons}, resource
        assert all(reasons.values()), resource
        for one in allowed:
            assert "*" not in json.dumps(one.get("Principal")), (resource, one)
            # A key without an owner could never be changed again.
            is_owner = said["Type"] == "AWS::KMS::Key" and one["Sid"] == "Account"
            assert is_owner or "*" not in json.dumps(one["Action"]), (resource, one)


def test_managed_policies_of_others_are_not_used() -> None:
    for template in ALL.values():
        for role in properties_of(template, "AWS::IAM::Role").values():
            assert all(isinstance(one, dict) for one in role.get("ManagedPolicyArns", []))
