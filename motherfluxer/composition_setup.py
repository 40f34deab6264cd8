"""The composition's step after the migration: first accounts, and what its instance is to know.

Run it as `python -m motherfluxer.composition_setup`; doing it again changes nothing.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Final

import django
from django.core.management import call_command

from motherfluxer.local_setup import credential_ensure, folders_make

# docker-compose.yml mounts them: the instance's folder, and the proxy's, to be read only.
INSTANCE: Final = Path("/instance")
LOCAL_AUTHORITY: Final = Path("/caddy/caddy/pki/authorities/local/root.crt")
SYSTEM_AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
CREDENTIAL_NAME: Final = "composition"


def trust_write(instance: Path, authority: Path, otherwise: Path) -> None:
    """Give the instance the certificates to trust: the proxy's own authority where it has one."""
    shutil.copyfile(authority if authority.exists() else otherwise, instance / "trusted.pem")


def main() -> int:
    """Make the first accounts, the credential's file and the trusted certificates' one."""
    django.setup()
    folders_make()
    # Its words hold passwords, which belong in the file that it writes and in no log.
    call_command("first_run", stdout=io.StringIO())
    credential_ensure(path=INSTANCE / "credential", name=CREDENTIAL_NAME)
    trust_write(INSTANCE, LOCAL_AUTHORITY, SYSTEM_AUTHORITIES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
