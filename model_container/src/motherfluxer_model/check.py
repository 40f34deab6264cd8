"""`motherfluxer-model check`: everything that must be well before an instance joins, one by one."""

import os
from collections.abc import AsyncIterator

from motherfluxer_model import __version__
from motherfluxer_model.checking.machine import check_machine
from motherfluxer_model.checking.model import check_model
from motherfluxer_model.checking.way import check_ca_bundle, check_way
from motherfluxer_model.core.findings import Finding, Grade, conclude
from motherfluxer_model.options import Options


async def check(options: Options) -> int:
    """Look at everything, print each finding as it comes; give the process's exit code."""
    findings = []
    async for finding in look(options):
        findings.append(finding)
        print(finding, flush=True)
    words, code = conclude(findings)
    print(words)
    return code


async def look(options: Options) -> AsyncIterator[Finding]:
    """Look at options, the way to the router, the machine and the model, in this order."""
    about = f"{options.name} serves {options.source} ({options.engine}), motherfluxer-model"
    yield Finding("options", Grade.OK, f"{about} {__version__}")
    for warning in options.warnings:
        yield Finding("options", Grade.WARNING, warning)
    if (bundle := check_ca_bundle(os.environ.get("SSL_CERT_FILE"))) is not None:
        yield bundle
    async for finding in check_way(options):
        yield finding
    for finding in await check_machine(options):
        yield finding
    async for finding in check_model(options):
        yield finding
