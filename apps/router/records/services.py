"""Writing the decision log."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from apps.router.conf import CONF
from apps.router.models import LogChain, LogEntry
from apps.router.records.chain import BEGINNING, Place, seal
from apps.router.records.entries import AnyEntry, Gap, LostEntry, Recorded, entry_of, kind_of
from apps.router.records.selectors import log_without_written

log = logging.getLogger(__name__)


@transaction.atomic
def log_append(*, recorded: Sequence[Recorded | Gap], is_shared: bool = False) -> Place:
    """Write all of it or nothing, in its order, and return the last entry's place.

    Of several writers one waits for the other. `is_shared`: another writer may have written some
    of it before; that is left out.
    """
    chain = _locked_chain()
    last = Place(chain.last_sequence, chain.last_hash)
    entries = [_entry_or_gap(one) for one in recorded]
    rows = []
    for unnumbered in log_without_written(entries=entries) if is_shared else entries:
        entry, sealed = seal(unnumbered, last)
        last = Place(entry.sequence, sealed.hash)
        rows.append(
            LogEntry(
                sequence=entry.sequence,
                job_id=entry.job_id,
                kind=kind_of(entry),
                made_at=entry.made_at,
                body=sealed.body,
                previous_hash=sealed.previous_hash,
                hash=sealed.hash,
            )
        )
    LogEntry.objects.bulk_create(rows)
    chain.last_sequence, chain.last_hash = last.sequence, last.hash
    chain.save(update_fields=["last_sequence", "last_hash"])
    return last


@transaction.atomic
def log_remove_old(*, now: datetime) -> int:
    """Remove the entries that are past their time and return how many; the rest still verifies."""
    chain = _locked_chain()
    cutoff = now - timedelta(days=CONF.log_kept_days)
    young = LogEntry.objects.filter(made_at__gte=cutoff).order_by("sequence").first()
    old = LogEntry.objects.filter(sequence__lt=young.sequence) if young else LogEntry.objects.all()
    last_old = old.order_by("-sequence").first()
    if last_old is None:
        return 0
    chain.removed_sequence, chain.removed_hash = last_old.sequence, last_old.hash
    chain.save(update_fields=["removed_sequence", "removed_hash"])
    return old.delete()[0]


def _entry_or_gap(recorded: Recorded | Gap) -> AnyEntry:
    try:
        return entry_of(recorded)
    except Exception:  # a bug in one entry must not keep all later ones from being written
        log.exception("an entry could not be made")
        return LostEntry(made_at=recorded.made_at, lost=1)


def _locked_chain() -> LogChain:
    """Return the chain's row, locked until the transaction ends."""
    new = {"removed_hash": BEGINNING.hash, "last_hash": BEGINNING.hash}
    LogChain.objects.get_or_create(pk=LogChain.ONLY, defaults=new)
    return LogChain.objects.select_for_update().get(pk=LogChain.ONLY)
