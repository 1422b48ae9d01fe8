"""`qnode sim live`: a scenario file against real daemons, judged through their HTTP ports.

Crashes are SIGKILL, pauses SIGSTOP; a node that misbehaves is the ordinary daemon with the same
class around its replica as in the simulation, and faults of links are made where messages come in
(`simulator.live.links`). A scenario with another fault is refused before anything starts.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daemon.errors import QnodeError
from daemon.verification import verify_bytes
from pbft.certificate import Certificate, from_text
from pbft.errors import InvalidCertificate
from simulator.errors import BadScenario, Finding
from simulator.faults import BEHAVIOURS
from simulator.incidents import byzantine_nodes
from simulator.live import links
from simulator.live.nodes import LiveNetwork
from simulator.plan import Plan, Question
from simulator.scenario import read_scenario

DECIDED_S = 120.0


def run(options: argparse.Namespace) -> int:
    """Runs the scenarios one after the other; the exit code is the worst of them."""
    plans = [read_scenario(path) for path in options.scenario]
    for plan in plans:
        check_live(plan)
    results = []
    for plan in plans:
        with tempfile.TemporaryDirectory(prefix="qnode-live-", dir=options.folder) as folder:
            results.append(Live(plan, Path(folder), instant=not options.models).run())
        if not options.json:
            _tell(results[-1])
    failed = sum(result["finding"] != "holds" for result in results)
    if options.json:
        print(json.dumps({"scenarios": len(results), "failed": failed, "runs": results}, indent=1))
    return max(Finding(result["finding"]).exit_code for result in results)


def _tell(result: dict[str, Any]) -> None:
    print(
        f"{result['name']:32}  {result['finding']}: {result['sentence']} "
        f"{result['decided']} of {result['asked']} decided, {result['wall_s']} s",
        flush=True,
    )


def check_live(plan: Plan) -> None:
    """Raises `BadScenario` for what cannot be done to real nodes."""
    seen: set[int] = set()
    for fault in plan.faults:
        if fault.kind in BEHAVIOURS:
            node = fault.settings["node"]
            if node in seen:
                raise BadScenario(f"Live, node {node} can have one behaviour, from start to end.")
            seen.add(node)
        elif fault.kind in links.KINDS:
            pass
        elif fault.kind not in ("crash", "pause"):
            known = ", ".join(("crash", "pause", *links.KINDS))
            raise BadScenario(f"Live runs know {known} and behaviours; not {fault.kind}.")
        elif fault.get("lose", "nothing") != "nothing" or fault.get("effects") is not None:
            raise BadScenario("Live, a crash is a SIGKILL: leave out `lose` and `effects`.")
    if plan.nodes > 10:
        raise BadScenario("Live runs have at most 10 nodes on one machine.")


@dataclass(slots=True)
class Asked:
    node: int
    request_id: str
    records: dict[int, Certificate] = field(default_factory=dict)


class Live:
    """One live run."""

    def __init__(self, plan: Plan, folder: Path, *, instant: bool) -> None:
        self._plan = plan
        faults = {
            fault.settings["node"]: (
                fault.kind,
                {k: v for k, v in fault.settings.items() if k != "node"},
            )
            for fault in plan.faults
            if fault.kind in BEHAVIOURS
        }
        self._network = LiveNetwork(folder, plan.nodes, faults, plan.the_policy(), instant=instant)
        byzantine = byzantine_nodes(plan.faults)
        self._honest = [number for number in range(plan.nodes) if number not in byzantine]
        self._asked: list[Asked] = []

    def run(self) -> dict[str, Any]:
        began_s = time.monotonic()
        finding, sentence = Finding.HOLDS, "All that must hold held."
        with self._network as network:
            network.start()
            self._safety_phase()
            try:
                self._liveness_phase()
            except TimeoutError as error:
                finding, sentence = Finding.LIVENESS, str(error)
            else:
                if fault := self._history_fault():
                    finding, sentence = Finding.SAFETY, fault
        return {
            "name": self._plan.name,
            "finding": finding.value,
            "sentence": sentence,
            "asked": len(self._asked),
            "decided": sum(bool(asked.records) for asked in self._asked),
            "wall_s": round(time.monotonic() - began_s, 1),
        }

    # --- phases --------------------------------------------------------------------------------

    def _safety_phase(self) -> None:
        actions: list[tuple[int, int, Callable[[], None]]] = []

        def at(when_ms: int, action: Callable[[], None]) -> None:
            actions.append((when_ms, len(actions), action))

        for question in self._plan.questions:
            at(question.at_ms, lambda question=question: self._ask(question))  # type: ignore[misc]
        for fault in self._plan.faults:
            if fault.kind in BEHAVIOURS or fault.kind in links.KINDS:
                continue
            node = self._network.nodes[fault.settings["node"]]
            at(fault.at_ms, node.kill if fault.kind == "crash" else node.pause)
            if fault.until_ms is not None:
                at(fault.until_ms, node.start if fault.kind == "crash" else node.resume)
        # What has no end lasts until the calm, as in virtual time.
        weather = [
            replace(fault, until_ms=fault.until_ms or self._plan.calm_ms)
            for fault in self._plan.faults
            if fault.kind in links.KINDS
        ]
        for node in self._network.nodes:
            links.write(node.links, weather)
        began_s = time.monotonic()
        for when_ms, _, action in sorted(actions, key=lambda entry: entry[:2]):
            time.sleep(max(0.0, began_s + when_ms / 1_000 - time.monotonic()))
            action()
        time.sleep(max(0.0, began_s + self._plan.calm_ms / 1_000 - time.monotonic()))

    def _ask(self, question: Question) -> None:
        node = self._network.nodes[question.node]
        if not node.running or node.paused:
            return
        text = f"Question {len(self._asked) + 1}: what is the capital of France?"
        query = {"question": text, "mode": "consensus", "max_tokens": 24}
        try:
            accepted = node.client.post("/api/ai/query", query, Prefer="respond-async")
        except (OSError, QnodeError):
            return  # still starting; its user asks elsewhere
        self._asked.append(Asked(question.node, accepted["request_id"]))

    def _liveness_phase(self) -> None:
        network = self._network
        for node in network.nodes:
            node.resume()
            if not node.running:
                node.start()
        network.wait(network.whole, "all nodes are connected again")
        for number in self._honest:
            self._ask(Question(0, number))
        honest = [asked for asked in self._asked if asked.node in self._honest]
        network.wait(
            lambda: sum(self._fetch(asked) for asked in honest) == len(honest),
            "every question is decided on every honest node",
            DECIDED_S,
        )

    def _fetch(self, asked: Asked) -> bool:
        """Whether every honest node has the decision."""
        for number in self._honest:
            if number in asked.records:
                continue
            client = self._network.nodes[number].client
            try:
                record = client.get(f"/api/consensus/{asked.request_id}")
                if "certificate" not in record:
                    return False
                text = client.get_text(record["certificate"])
            except (OSError, QnodeError):
                return False
            verify_bytes(text.encode(), self._network.genesis)
            asked.records[number] = from_text(text)
        return True

    # --- history -------------------------------------------------------------------------------

    def _history_fault(self) -> str | None:
        """What the nodes' answers over HTTP contradict each other in; None if they do not."""
        places: dict[tuple[int, int], str] = {}
        for asked in self._asked:
            certificates = list(asked.records.values())
            for certificate in certificates:
                first = certificates[0]
                if (certificate.item, certificate.sequence_number) != (
                    first.item,
                    first.sequence_number,
                ):
                    return f"Two nodes tell different decisions of {asked.request_id}."
                try:
                    if certificate.request_id.hex() != asked.request_id:
                        return f"A node tells another decision than that of {asked.request_id}."
                except InvalidCertificate as error:
                    return str(error)
            if certificates:
                place = (certificates[0].sequence_number, certificates[0].index)
                if places.setdefault(place, asked.request_id) != asked.request_id:
                    return f"Two questions are at one place of the ledger, {place}."
        return None
