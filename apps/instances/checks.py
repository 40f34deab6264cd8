"""System checks: the package that operators download."""

from typing import Any

from django.core.checks import CheckMessage, Warning, register

from apps.instances.package import PackageMissingError, package_version


@register()
def check_package(**_: Any) -> list[CheckMessage]:
    """Say when there is nothing to download."""
    try:
        package_version()
    except PackageMissingError as error:
        hint = "Point MODEL_CONTAINER_DIR to the container's sources."
        return [Warning(f"Operators cannot download it: {error}", hint=hint, id="instances.W001")]
    return []
