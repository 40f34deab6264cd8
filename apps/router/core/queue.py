"""The waiting jobs: classes in order of service, first come first served within one. Pure."""

from collections import OrderedDict
from collections.abc import Iterator

from apps.router.core.values import ServiceClass


class WaitingQueue:
    """Job ids in the order in which they will be served."""

    def __init__(self) -> None:
        self._classes: dict[ServiceClass, OrderedDict[str, None]] = {
            service_class: OrderedDict() for service_class in ServiceClass
        }

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._classes.values())

    def __iter__(self) -> Iterator[str]:
        for waiting in self._classes.values():
            yield from waiting

    def count(self, service_class: ServiceClass) -> int:
        """Return how many of one class wait."""
        return len(self._classes[service_class])

    def append(self, job_id: str, service_class: ServiceClass) -> None:
        """Add a new job behind its class."""
        self._classes[service_class][job_id] = None

    def put_first(self, job_id: str, service_class: ServiceClass) -> None:
        """Bring an interrupted job back, before all of its class."""
        self._classes[service_class][job_id] = None
        self._classes[service_class].move_to_end(job_id, last=False)

    def remove(self, job_id: str, service_class: ServiceClass) -> None:
        """Take a job out. Raises KeyError when it is not there."""
        del self._classes[service_class][job_id]
