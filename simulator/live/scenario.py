"""`qnode sim live`: a scenario file against real daemons, judged through their HTTP ports.

Crashes are SIGKILL, pauses SIGSTOP, a full disk is a full disk, a twin a second process with a copy
of the key; a node that misbehaves is the ordinary daemon with the same class around its replica as
in the simulation. What happens between the nodes is made by one of two means
(`simulator.live.means`). What cannot be done is refused before anything starts.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from daemon.errors import QnodeError
from simulator.errors import Finding
from simulator.faults import BEHAVIOURS
from simulator.kinds import byzantine_nodes
from simulator.live.means import LINK_KINDS, Messages, Namespaces, processes_of
from simulator.live.namespaces import small_disk
from simulator.live.nodes import LiveNetwork, LiveNode
from simulator.live.verdict import Asked, Told, fetch, history_fault, told_by, unexpected
from simulator.plan import Incident, Plan, Question

DECIDED_S = 120.0
SMALL_DISK_BYTES = 64 * 1024 * 1024


class Live:
    """One live run."""

    def __init__(self, plan: Plan, folder: Path, means: str, *, instant: bool) -> None:
        # What has no end lasts until the calm, as in virtual time.
        self._plan = replace(
            plan,
            faults=tuple(
                replace(fault, until_ms=fault.until_ms or plan.calm_ms)
                if fault.kind in (*LINK_KINDS, "disk_full")
                else fault
                for fault in plan.faults
            ),
        )
        self._means = Namespaces(plan, processes_of(plan)) if means == "namespaces" else Messages()
        behaviours = {
            fault.settings["node"]: (
                fault.kind,
                {k: v for k, v in fault.settings.items() if k != "node"},
            )
            for fault in plan.faults
            if fault.kind in BEHAVIOURS
        }
        twins = [fault.settings["node"] for fault in plan.faults if fault.kind == "twin"]
        self._network = LiveNetwork(
            folder, plan.nodes, twins, behaviours, plan.the_policy(), self._means, instant=instant
        )
        self._byzantine = byzantine_nodes(plan.faults)
        self._honest = {
            number: node
            for number, node in enumerate(self._network.nodes)
            if number not in self._byzantine
        }
        self._asked: list[Asked] = []
        self._stopped: dict[str, str] = {}
        """Processes that ended by themselves, and what they said."""

    def run(self) -> dict[str, Any]:
        began_s = time.monotonic()
        with ExitStack() as stack:
            stack.callback(self._means.close)
            for fault in self._plan.faults:
                if fault.kind == "disk_full":
                    data = self._network.nodes[fault.settings["node"]].data
                    stack.enter_context(small_disk(data, SMALL_DISK_BYTES))
            stack.enter_context(self._network)
            self._network.start()
            self._safety_phase()
            finding, sentence = self._liveness_phase()
            told = self._told().values()
            for node in self._network.processes:
                if node.stopped_itself:
                    self._stopped[node.name] = node.last_words
        return {
            "name": self._plan.name,
            "finding": finding.value,
            "sentence": sentence,
            "links": self._means.name,
            "asked": len(self._asked),
            "decided": sum(bool(asked.records) for asked in self._asked),
            "view": max((each.view for each in told), default=0),
            "epoch": max((each.epoch for each in told), default=0),
            "accused": sorted({replica for each in told for replica in each.accused}),
            "stopped": self._stopped,
            **self._means.figures(),
            "wall_s": round(time.monotonic() - began_s, 1),
        }

    # --- phases --------------------------------------------------------------------------------

    def _safety_phase(self) -> None:
        actions: list[tuple[int, Callable[[], None]]] = [
            (question.at_ms, partial(self._ask, question)) for question in self._plan.questions
        ]
        for place, fault in enumerate(self._plan.faults):
            begin, end = self._deeds(place, fault)
            if begin is not None:
                actions.append((fault.at_ms, begin))
            if end is not None and fault.until_ms is not None:
                actions.append((fault.until_ms, end))
        self._means.start_clock(
            [node.folder for node in self._network.processes],
            [fault for fault in self._plan.faults if fault.kind in LINK_KINDS],
        )
        began_s = time.monotonic()
        actions.append((self._plan.calm_ms, lambda: None))
        for when_ms, action in sorted(actions, key=lambda entry: entry[0]):
            time.sleep(max(0.0, began_s + when_ms / 1_000 - time.monotonic()))
            action()

    def _deeds(
        self, place: int, fault: Incident
    ) -> tuple[Callable[[], None] | None, Callable[[], None] | None]:
        """How the fault begins and ends."""
        if fault.kind in BEHAVIOURS:
            return None, None
        if fault.kind in LINK_KINDS:
            return partial(self._means.begin, place, fault), partial(self._means.end, place, fault)
        number = fault.settings["node"]
        node = self._network.nodes[number]
        match fault.kind:
            case "crash":
                return node.kill, partial(_rise, node, fault.get("lose", "nothing"))
            case "pause":
                return node.pause, node.resume
            case "disk_full":
                return partial(_fill_disk, node), partial(self._free_disk, node)
        twin = self._network.twins[number]
        node.may_stop = twin.may_stop = True
        return twin.start, twin.kill

    def _free_disk(self, node: LiveNode) -> None:
        node.free_disk()
        if node.stopped_itself:
            self._stopped[node.name] = node.last_words
            node.start()
        node.may_stop = False

    def _ask(self, question: Question) -> None:
        node = self._network.nodes[question.node]
        if not node.running or node.paused:
            return
        text = f"Question {len(self._asked) + 1}: what is the capital of France?"
        query = {"question": text, "mode": "consensus", "max_tokens": 24}
        try:
            with node.asked() as client:
                accepted = client.post("/api/ai/query", query, Prefer="respond-async")
        except (OSError, QnodeError):
            return  # still starting; its user asks elsewhere
        self._asked.append(Asked(question.node, accepted["request_id"]))

    def _liveness_phase(self) -> tuple[Finding, str]:
        network = self._network
        for number, node in enumerate(network.nodes):
            node.resume()
            if not node.running and number not in network.twins:
                node.start()
        try:
            network.wait(network.whole, "all nodes are connected again")
            network.wait(self._keys_run_once, "of two processes with one key, one gives up")
            for number in self._honest:
                self._ask(Question(0, number))
            honest = [asked for asked in self._asked if asked.node in self._honest]
            network.wait(
                lambda: (
                    sum(fetch(asked, self._honest, network.genesis) for asked in honest)
                    == len(honest)
                ),
                "every question is decided on every honest node",
                DECIDED_S,
            )
        except TimeoutError as error:
            return Finding.LIVENESS, str(error)
        if fault := history_fault(self._asked):
            return Finding.SAFETY, fault
        return self._judge_end()

    def _keys_run_once(self) -> bool:
        """A key that runs twice is noticed; a twin that was stopped at its time is over."""
        twins = self._network.twins.items()
        return not any(twin.running and self._network.nodes[n].running for n, twin in twins)

    def _judge_end(self) -> tuple[Finding, str]:
        decided = sum(bool(asked.records) for asked in self._asked)

        def fault() -> str | None:
            return unexpected(self._plan.expect, self._told(), decided)

        try:
            # Evidence is decided after what it is about.
            self._network.wait(lambda: fault() is None, "", DECIDED_S)
        except TimeoutError:
            return Finding.UNEXPECTED, fault() or "What was expected came too late."
        for number, told in self._told().items():
            if wrongly := sorted(set(told.accused) - self._byzantine):
                return Finding.SAFETY, f"Node {number} holds the honest {wrongly} for faulty."
        return Finding.HOLDS, "All that must hold held."

    def _told(self) -> dict[int, Told]:
        told = ((number, told_by(node)) for number, node in self._honest.items())
        return {number: each for number, each in told if each is not None}


def _rise(node: LiveNode, loses: str) -> None:
    node.lose(loses)
    node.start()


def _fill_disk(node: LiveNode) -> None:
    node.may_stop = True
    node.fill_disk()
