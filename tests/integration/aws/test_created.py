"""What a stand-in for AWS makes of the templates, asked for through boto3."""

import base64
import json
import re
from typing import Any, Final

import boto3
import pytest
from django.conf import settings

from motherfluxer.server import GRACEFUL_SHUTDOWN_S
from tests.integration.aws.conftest import DOMAIN
from tests.integration.aws.templates import template_read

DOCKER_WAITS_S: Final = 60

Stacks = dict[str, dict[str, str]]


def client(service: str) -> Any:
    """Ask the stand-in, in the site's region."""
    return boto3.client(service)


def test_two_zones_have_a_way_out_of_their_own(stacks: Stacks) -> None:
    network = stacks["network"]
    ec2 = client("ec2")
    tables = ec2.describe_route_tables()["RouteTables"]
    ways = {
        one["RouteTableId"]: {
            route.get("NatGatewayId") or route["GatewayId"].partition("-")[0]
            for route in one["Routes"]
        }
        for one in tables
    }
    assert ways[network["PublicRoutes"]] == {"local", "igw"}
    assert ways[network["HostRoutesA"]] == {"local", "vpce", network["NatA"]}
    assert ways[network["HostRoutesB"]] == {"local", "vpce", network["NatB"]}
    assert ways[network["DataRoutes"]] == {"local"}
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [network["Vpc"]]}])
    assert len({one["AvailabilityZone"] for one in subnets["Subnets"]}) == 2


def test_security_groups_are_a_chain(stacks: Stacks) -> None:
    network = stacks["network"]
    groups = client("ec2").describe_security_groups(
        GroupIds=[network[f"{n}Group"] for n in ("Balancer", "Web", "Host", "Database", "Redis")]
    )["SecurityGroups"]
    entrances = {
        one["GroupId"]: {
            (rule["FromPort"], source.get("GroupId") or source.get("CidrIp"))
            for rule in one["IpPermissions"]
            for source in rule["UserIdGroupPairs"] + rule["IpRanges"]
        }
        for one in groups
    }
    assert entrances == {
        network["BalancerGroup"]: {(443, "0.0.0.0/0"), (80, "0.0.0.0/0")},
        network["WebGroup"]: {(8000, network["BalancerGroup"])},
        network["HostGroup"]: set(),
        network["DatabaseGroup"]: {(5432, network["HostGroup"])},
        network["RedisGroup"]: {(6379, network["HostGroup"])},
    }


def test_database_is_encrypted_doubled_and_kept(stacks: Stacks) -> None:
    (database,) = client("rds").describe_db_instances()["DBInstances"]
    assert database["Engine"] == "postgres"
    assert database["StorageEncrypted"] is True
    assert database["MultiAZ"] is True
    assert database["PubliclyAccessible"] is False
    assert database["BackupRetentionPeriod"] == 14
    assert database["KmsKeyId"].endswith(stacks["data"]["Key"])
    assert {one["SubnetIdentifier"] for one in database["DBSubnetGroup"]["Subnets"]} == {
        stacks["network"]["DataSubnetA"],
        stacks["network"]["DataSubnetB"],
    }


def test_buckets_are_encrypted(stacks: Stacks) -> None:
    s3 = client("s3")
    algorithms = {}
    for name in ("StaticBucket", "BackupsBucket", "LogsBucket"):
        found = s3.get_bucket_encryption(Bucket=stacks["data"][name])
        (rule,) = found["ServerSideEncryptionConfiguration"]["Rules"]
        algorithms[name] = rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert algorithms == {
        "StaticBucket": "AES256",
        "BackupsBucket": "aws:kms",
        "LogsBucket": "AES256",
    }


def test_four_names_lead_to_the_balancer(stacks: Stacks) -> None:
    route53 = client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    aliases = {one["Name"]: one["AliasTarget"] for one in records if "AliasTarget" in one}
    names = ("", "user.", "admin.", "superadmin.")
    assert set(aliases) == {f"{name}{DOMAIN}." for name in names}
    (balancer,) = client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert {one["DNSName"].rstrip(".") for one in aliases.values()} == {balancer["DNSName"]}
    checks = [one["HealthCheckConfig"] for one in route53.list_health_checks()["HealthChecks"]]
    asked = {(one["Type"], one["FullyQualifiedDomainName"], one["ResourcePath"]) for one in checks}
    alive = {("HTTPS", f"{name}{DOMAIN}", "/healthz") for name in names}
    assert asked == {*alive, ("HTTPS", DOMAIN, "/readyz")}


def test_balancer_serves_nothing_without_tls(stacks: Stacks) -> None:
    elb = client("elbv2")
    arn = stacks["site"]["Balancer"]
    listeners = {
        one["Port"]: one for one in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    }
    assert set(listeners) == {80, 443}
    (sent_on,) = listeners[80]["DefaultActions"]
    assert sent_on["RedirectConfig"]["Protocol"] == "HTTPS"
    assert listeners[443]["Protocol"] == "HTTPS"
    assert "TLS13" in listeners[443]["SslPolicy"]
    assert listeners[443]["DefaultActions"][0]["Type"] == "fixed-response"


def test_only_the_sites_names_reach_web_processes(stacks: Stacks) -> None:
    elb = client("elbv2")
    rules = elb.describe_rules(ListenerArn=stacks["site"]["Listener"])["Rules"]
    to_web = [
        one
        for one in rules
        if one["Actions"][0].get("TargetGroupArn") == stacks["site"]["WebTargets"]
    ]
    (rule,) = to_web
    (hosts,) = [c["HostHeaderConfig"]["Values"] for c in rule["Conditions"]]
    assert set(hosts) == {f"{n}{DOMAIN}" for n in ("", "user.", "admin.", "superadmin.")}
    first = min(rules, key=lambda one: int(one["Priority"].replace("default", "99999")))
    assert first["Conditions"][0]["PathPatternConfig"]["Values"] == ["/metrics"]
    assert first["Actions"][0]["Type"] == "fixed-response"


def test_target_is_let_go_later_than_it_drains(stacks: Stacks) -> None:
    elb = client("elbv2")
    arn = stacks["site"]["WebTargets"]
    said = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    attributes = {one["Key"]: one["Value"] for one in said}
    assert attributes["stickiness.enabled"] == "false"
    stops_within_s = settings.DRAIN_S + GRACEFUL_SHUTDOWN_S + 10  # as in gunicorn.conf.py
    script = template_read("site")["Mappings"]["Host"]["Script"]["Text"]
    (leave,) = re.findall(r"\nleave\(\) \{.*?docker stop", script, re.DOTALL)
    waits_s = sum(int(one) for one in re.findall(r"sleep (\d+)", leave))
    assert waits_s > 0
    delay_s = int(attributes["deregistration_delay.timeout_seconds"])
    assert delay_s > waits_s + stops_within_s
    assert f"--stop-timeout {DOCKER_WAITS_S} " in script
    assert stops_within_s < DOCKER_WAITS_S
    (group,) = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    assert group["HealthCheckPath"] == "/healthz"


def test_hosts_stand_in_private_subnets_as_many_as_they_should(stacks: Stacks) -> None:
    groups = {
        one["AutoScalingGroupName"]: one
        for one in client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    }
    sizes = {name: (one["MinSize"], one["MaxSize"]) for name, one in groups.items()}
    assert sizes == {
        "motherfluxer-web": (2, 8),
        "motherfluxer-router": (2, 3),
        "motherfluxer-housekeeping": (1, 1),
    }
    private = {stacks["network"]["HostSubnetA"], stacks["network"]["HostSubnetB"]}
    for one in groups.values():
        assert set(one["VPCZoneIdentifier"].split(",")) == private
    assert groups["motherfluxer-web"]["TargetGroupARNs"] == [stacks["site"]["WebTargets"]]
    assert groups["motherfluxer-web"]["HealthCheckType"] == "ELB"


@pytest.mark.parametrize("role", ["Web", "Router", "Housekeeping"])
def test_host_gives_its_rights_only_to_who_holds_a_token(stacks: Stacks, role: str) -> None:
    found = client("ec2").describe_launch_template_versions(
        LaunchTemplateId=stacks["site"][f"{role}Template"]
    )
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    # One hop does not lead into a container: the site's processes have none of the host's rights.
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert "KeyName" not in data
    script = base64.b64decode(data["UserData"]).decode()
    assert script.startswith("#!/bin/bash\n")
    assert f"ROLE={role.lower()} " in script
    assert "TAG=1.2.3 " in script
    assert "${Images}" not in script
    assert len(script) < 16_384


def test_logs_end_some_day(stacks: Stacks) -> None:
    groups = client("logs").describe_log_groups(logGroupNamePrefix="/motherfluxer/")["logGroups"]
    kept = {one["logGroupName"].rpartition("/")[2]: one["retentionInDays"] for one in groups}
    assert kept == {
        **dict.fromkeys(("web", "router", "worker", "beat", "release"), 90),
        **dict.fromkeys(("metrics", "static", "flow"), 30),
    }


def test_only_housekeeping_writes_backups(stacks: Stacks) -> None:
    iam = client("iam")
    for name in ("web", "router"):
        role = stacks["site"][f"{name.capitalize()}Role"]
        assert iam.list_role_policies(RoleName=role)["PolicyNames"] == [name]
        assert "s3:" not in str(iam.get_role_policy(RoleName=role, PolicyName=name))
    role = stacks["site"]["HousekeepingRole"]
    said = str(iam.get_role_policy(RoleName=role, PolicyName="housekeeping")["PolicyDocument"])
    bucket = stacks["data"]["BackupsBucket"]
    assert f"arn:aws:s3:::{bucket}/postgres/*" in said
    assert "s3:GetObject" not in said
    assert "Delete" not in said


def test_dashboard_is_a_dashboard(stacks: Stacks) -> None:
    assert stacks["watch"]["Dashboard"] == "motherfluxer"
    body = client("cloudwatch").get_dashboard(DashboardName="motherfluxer")["DashboardBody"]
    assert len(json.loads(body)["widgets"]) == 9
