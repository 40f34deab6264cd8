"""What schemathesis is told beside the schema: that it must not saw off the branch it sits on."""

import os
from typing import Any

import schemathesis

OWN_KEY_ID = os.environ.get("FUZZING_KEY_ID", "")
NOBODYS_KEY_ID = "000000000000"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let the key that it asks with be neither revoked nor renewed."""
    if case.path_parameters and case.path_parameters.get("id") == OWN_KEY_ID:
        case.path_parameters["id"] = NOBODYS_KEY_ID
