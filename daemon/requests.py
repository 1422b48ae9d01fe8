"""What this node knows about requests while they are answered, and who waits for them."""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import trio

from pbft.effects import Progress, Reply, Stage
from pbft.messages import DecidedSlot
from pbft.types import ReplicaId, RequestId

REMEMBERED_MAX = 4_096
_TIMELINE_MAX = 1_024


@dataclass(slots=True)
class RequestState:
    """One request, as seen from here. Times are milliseconds since this node learned of it."""

    request_id: RequestId
    started_at: float = field(default_factory=time.time)
    started_monotonic: float = field(default_factory=time.monotonic)
    timeline: list[tuple[int, Stage, ReplicaId]] = field(default_factory=list)
    attempts: list[tuple[DecidedSlot, int]] = field(default_factory=list)
    """Decided ones, with the item's place in the slot."""
    rejected: str | None = None
    accepted: trio.Event = field(default_factory=trio.Event)
    """On disk here, or rejected."""
    finished: trio.Event = field(default_factory=trio.Event)
    awaited: bool = False
    """A user of this node asked: not forgotten before it is finished."""

    @property
    def elapsed_ms(self) -> int:
        return round(1000 * (time.monotonic() - self.started_monotonic))

    @property
    def stage(self) -> Stage | None:
        return self.timeline[-1][1] if self.timeline else None

    def timeline_json(self) -> list[dict[str, Any]]:
        return [
            {"at_ms": at_ms, "stage": str(stage), "replica": replica}
            for at_ms, stage, replica in self.timeline
        ]


class RequestBook:
    """Recent requests by id; the oldest finished ones make room."""

    def __init__(self) -> None:
        self._states: OrderedDict[RequestId, RequestState] = OrderedDict()

    def get(self, request_id: RequestId) -> RequestState | None:
        return self._states.get(request_id)

    def open(self, request_id: RequestId) -> RequestState:
        """The state of a request that a user of this node waits for."""
        state = self._state(request_id)
        state.awaited = True
        return state

    def _state(self, request_id: RequestId) -> RequestState:
        state = self._states.get(request_id)
        if state is None:
            state = self._states[request_id] = RequestState(request_id)
            self._make_room(request_id)
        return state

    def _make_room(self, newest: RequestId) -> None:
        """The oldest that nobody waits for goes: a lying member may commit to requests that do not
        exist."""
        if len(self._states) <= REMEMBERED_MAX:
            return
        for request_id, state in self._states.items():
            wanted = state.awaited or state.accepted.is_set()
            if request_id != newest and (state.finished.is_set() or not wanted):
                del self._states[request_id]
                return

    def on_progress(self, progress: Progress) -> None:
        state = self._state(progress.request_id)
        if len(state.timeline) < _TIMELINE_MAX:
            state.timeline.append((state.elapsed_ms, progress.stage, progress.replica))
        if progress.stage is Stage.ACCEPTED:
            state.accepted.set()

    def on_reply(self, reply: Reply) -> str:
        """Wakes whoever waits, after the last attempt; returns the timeline as JSON, to be kept
        with the ledger."""
        state = self._state(reply.request_id)
        state.attempts.append((reply.slot, reply.index))
        if reply.final:
            state.finished.set()
        return json.dumps(state.timeline_json())

    def on_rejected(self, request_id: RequestId, reason: str) -> None:
        state = self._state(request_id)
        state.rejected = reason
        state.accepted.set()
        state.finished.set()

    @property
    def open_count(self) -> int:
        return sum(1 for state in self._states.values() if not state.finished.is_set())
