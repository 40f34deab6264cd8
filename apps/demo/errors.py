"""What can go wrong with the demo's counts.

LedgerUnreachableError      the ledger's Redis does not answer
"""


class LedgerUnreachableError(Exception):
    """The ledger's Redis does not answer."""
