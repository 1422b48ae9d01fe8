"""Which requests are decided, in bounded memory."""

from heapq import heappop, heappush

from pbft import digest
from pbft.messages import Request
from pbft.types import ReplicaId, RequestId

REMEMBERED_MAX = 4_096
"""Decided requests remembered per asking replica. Anything older than the oldest of these is
refused unread, so that a recorded request can't be replayed once it was forgotten. Far above the
number of requests in flight, so that no honest request is ever that old."""


class History:
    """Decided requests by the replica that asked."""

    def __init__(self) -> None:
        self._decided: dict[ReplicaId, dict[int, RequestId]] = {}
        self._numbers: dict[ReplicaId, list[int]] = {}
        """Heaps of the same numbers: the lowest comes first."""
        self._ids: set[RequestId] = set()
        self._attempts: dict[RequestId, int] = {}
        self._decided_attempts: dict[RequestId, int] = {}
        """The same, with those in slots that are not applied."""

    def add(self, request: Request) -> None:
        request_id = digest.request_id(request)
        self._attempts.pop(request_id, None)
        self._decided_attempts.pop(request_id, None)
        decided = self._decided.setdefault(request.replica, {})
        numbers = self._numbers.setdefault(request.replica, [])
        if request.number in decided:
            self._ids.discard(decided[request.number])
        else:
            heappush(numbers, request.number)
        decided[request.number] = request_id
        self._ids.add(request_id)
        if len(decided) > REMEMBERED_MAX:
            self._ids.discard(decided.pop(heappop(numbers)))

    def add_attempt(self, request_id: RequestId, attempts: int) -> None:
        """So many attempts are decided, and another one follows."""
        self._attempts[request_id] = max(attempts, self.attempts(request_id))

    def decide_attempt(self, request_id: RequestId, attempts: int) -> None:
        """So many attempts are decided; another one follows when the ledger has come so far."""
        self._decided_attempts[request_id] = max(attempts, self.next_attempt(request_id))

    def next_attempt(self, request_id: RequestId) -> int:
        """The next one that is undecided."""
        return max(self._decided_attempts.get(request_id, 0), self.attempts(request_id))

    def attempts(self, request_id: RequestId) -> int:
        """How many attempts at an open request are in the ledger."""
        return self._attempts.get(request_id, 0)

    def is_decided(self, request: Request) -> bool:
        return request.number in self._decided.get(request.replica, ())

    def is_past(self, request: Request) -> bool:
        return self.is_decided(request) or self.is_too_old(request)

    def is_decided_id(self, request_id: RequestId) -> bool:
        return request_id in self._ids

    def is_too_old(self, request: Request) -> bool:
        numbers = self._numbers.get(request.replica, [])
        return len(numbers) >= REMEMBERED_MAX and request.number < numbers[0]
