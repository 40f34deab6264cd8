"""Who is told of what: each alarm, and where the figure comes from that it asks for."""

import re
from typing import Final

import pytest

from apps.operations.metrics import metrics_text
from apps.router.live.runtime import running_router
from tests.integration.aws.templates import FOLDER, Json, properties_of, template_read

SIGNS: Final = {"GreaterThanThreshold": ">", "LessThanThreshold": "<"}
# Name; namespace, figure, statistic, sign and threshold; seconds, how often, what no figure is;
# dimensions, their values as they are given or imported.
TABLE: Final = """
no-instance MotherFluxer motherfluxer_instances_online Maximum < 1 60 3 bad job=site
queue-age MotherFluxer motherfluxer_queue_oldest_wait_seconds Maximum > 30 60 3 well job=site
failovers MotherFluxer motherfluxer_failovers_total Maximum > 0 300 1 well job=site
backup MotherFluxer backup_made Sum < 1 86400 2 bad role=housekeeping
web-disk MotherFluxer disk_used_percent Maximum > 80 300 2 missing role=web
router-disk MotherFluxer disk_used_percent Maximum > 80 300 2 missing role=router
housekeeping-disk MotherFluxer disk_used_percent Maximum > 80 300 2 missing role=housekeeping
server-errors AWS/ApplicationELB HTTPCode_Target_5XX_Count Sum > 20 60 3 well BALANCER
balancer-errors AWS/ApplicationELB HTTPCode_ELB_5XX_Count Sum > 20 60 3 well BALANCER
web-hosts AWS/ApplicationELB HealthyHostCount Minimum < 2 60 5 bad BALANCER TARGETS
router-hosts AWS/AutoScaling GroupInServiceInstances Minimum < 2 60 10 bad HOSTS-router
housekeeping-host AWS/AutoScaling GroupInServiceInstances Minimum < 1 60 15 bad HOSTS-housekeeping
certificate-days AWS/CertificateManager DaysToExpiry Minimum < 21 86400 1 well CERTIFICATE
database-storage AWS/RDS FreeStorageSpace Minimum < 10737418240 300 2 bad DATABASE
database-cpu AWS/RDS CPUUtilization Average > 80 300 3 bad DATABASE
database-connections AWS/RDS DatabaseConnections Maximum > 300 60 5 bad DATABASE
redis-memory-a AWS/ElastiCache DatabaseMemoryUsagePercentage Maximum > 70 60 5 bad REDIS-001
redis-memory-b AWS/ElastiCache DatabaseMemoryUsagePercentage Maximum > 70 60 5 bad REDIS-002
redis-cpu-a AWS/ElastiCache EngineCPUUtilization Maximum > 80 60 5 bad REDIS-001
redis-cpu-b AWS/ElastiCache EngineCPUUtilization Maximum > 80 60 5 bad REDIS-002
public-down AWS/Route53 HealthCheckStatus Minimum < 1 60 2 bad CHECK-PublicCheck
user-down AWS/Route53 HealthCheckStatus Minimum < 1 60 2 bad CHECK-UserCheck
admin-down AWS/Route53 HealthCheckStatus Minimum < 1 60 2 bad CHECK-AdminCheck
superadmin-down AWS/Route53 HealthCheckStatus Minimum < 1 60 2 bad CHECK-SuperadminCheck
not-ready AWS/Route53 HealthCheckStatus Minimum < 1 60 2 bad CHECK-ReadyCheck
"""
SHORT: Final = {
    "notBreaching": "well",
    "breaching": "bad",
    "LoadBalancer=motherfluxer-balancer": "BALANCER",
    "TargetGroup=motherfluxer-web-targets": "TARGETS",
    "AutoScalingGroupName=motherfluxer-": "HOSTS-",
    "CertificateArn=motherfluxer-certificate": "CERTIFICATE",
    "DBInstanceIdentifier=motherfluxer": "DATABASE",
    "CacheClusterId=motherfluxer-": "REDIS-",
    "HealthCheckId=": "CHECK-",
}


def alarms() -> dict[str, Json]:
    """Return every alarm by its name."""
    both = properties_of(template_read("watch"), "AWS::CloudWatch::Alarm")
    both |= properties_of(template_read("names"), "AWS::CloudWatch::Alarm")
    return {one["AlarmName"].removeprefix("motherfluxer-"): one for one in both.values()}


def row(alarm: Json) -> str:
    """Return an alarm as the table has it, but for its name."""
    figure = ("Namespace", "MetricName", "Statistic", "ComparisonOperator", "Threshold")
    rings = ("Period", "EvaluationPeriods", "TreatMissingData")
    words = [str(alarm[key]) for key in (*figure, *rings)]
    for one in alarm["Dimensions"]:
        value = one["Value"]
        (given,) = value.values() if isinstance(value, dict) else (value,)
        words.append(f"{one['Name']}={given}")
    text = " ".join(SIGNS.get(word, word) for word in words)
    for name, short in SHORT.items():
        text = text.replace(name, short)
    return text


def test_somebody_is_told_of_each_trouble() -> None:
    rows = (line.partition(" ") for line in TABLE.strip().splitlines())
    assert {name: row(one) for name, one in alarms().items()} == {n: rest for n, _, rest in rows}
    for one in alarms().values():
        assert one["AlarmActions"] == [{"Ref": "Alarms"}]
        assert one["AlarmDescription"]


def test_alarms_ask_for_figures_that_the_agent_sends() -> None:
    script = template_read("site")["Mappings"]["Host"]["Script"]["Text"]
    own = [one for one in alarms().values() if one["Namespace"] == "MotherFluxer"]
    for one in own:
        (dimension,) = one["Dimensions"]
        if dimension["Name"] == "job":
            assert f"job_name: {dimension['Value']}\n" in script
        else:
            name = one["MetricName"]
            assert name == "disk_used_percent" or f"--metric-name {name} " in script
            assert '"aggregation_dimensions": [["role"]]' in script
    assert '"metric_namespace": "MotherFluxer"' in script


@pytest.mark.django_db(transaction=True)
async def test_the_site_tells_the_figures_that_are_watched() -> None:
    watched = {*re.findall(r"\bmotherfluxer_\w+", (FOLDER / "watch.yaml").read_text())}
    async with running_router():
        told = {*re.findall(r"^# TYPE (\w+) ", metrics_text().decode(), re.MULTILINE)}
    assert watched
    assert watched <= told
