"""Static files in production: named by what they hold, so that they may be kept for ever."""

from typing import Final

from servestatic.storage import CompressedManifestStaticFilesStorage

# What Django does not find: a worker that a module starts, named from where the module lies.
_WORKER: Final = (
    "*.js",
    (
        (
            r"""(?P<matched>new URL\(["'](?P<url>[^"']+)["'],\s*import\.meta\.url\))""",
            'new URL("%(url)s", import.meta.url)',
        ),
    ),
)


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # it has no types
    """Names every file by its hash, also where scripts import each other, and compresses it."""

    support_js_module_import_aggregation = True

    patterns = (*CompressedManifestStaticFilesStorage.patterns, _WORKER)
