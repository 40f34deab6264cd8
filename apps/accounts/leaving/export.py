"""A user's data as one zip of JSON and Markdown."""

import io
import zipfile

from apps.router import ports

READ_ME = """# Your data

Everything that this site keeps of you, as it stood when you asked.

- `account.json`: the account itself.
- `account/`: addresses, keys and their use, sessions, second factors, applications: one file for
  each kind of which there is something. Times are in UTC. Secrets are not here: of passwords and
  keys only digests are kept, and those would help nobody but a thief.
- `conversations/`: each conversation twice, as JSON and as Markdown to read.
- `instances/`: an operator's credentials, and the instances that connected with them.
"""


def account_zip(*, user_id: int) -> bytes:
    """Return all that any app keeps of a user as a zip file; it is text and packs well."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.md", READ_ME)
        for data in ports.account_data.all().values():
            for name, content in data.export(user_id):
                archive.writestr(name, content)
    return file.getvalue()
