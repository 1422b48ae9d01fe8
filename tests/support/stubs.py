"""Stand-ins for what the daemon's parts talk to: a model, a judge, a network, a disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from inference.engine import Generation, GenerationRequest
from inference.equivalence import Comparison
from inference.errors import GenerationCancelled

WAIT_S = 10.0


def generation(text: str = "Paris", finish: str = "stop", model: str = "stub") -> Generation:
    return Generation(
        text=text,
        reasoning="",
        finish=finish,  # type: ignore[arg-type]
        model=model,
        prompt_tokens=1,
        output_tokens=2,
        elapsed_ms=30,
    )


@dataclass
class StubEngine:
    """Answers what `answer` says for a request, at once."""

    answer: Callable[[GenerationRequest], Generation] = lambda _request: generation()
    model: str = "stub"
    device: str = "cpu"
    requests: list[GenerationRequest] = field(default_factory=list)

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Generation:
        self.requests.append(request)
        return self.answer(request)


@dataclass
class SlowEngine(StubEngine):
    """Thinks until it is cancelled or let go."""

    began: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)
    stopped: Event = field(default_factory=Event)

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Generation:
        self.requests.append(request)
        self.began.set()
        for _ in range(round(WAIT_S * 200)):
            if cancelled():
                self.stopped.set()
                raise GenerationCancelled("cancelled")
            if self.go.wait(0.005):
                return self.answer(request)
        raise AssertionError("nobody cancelled the model and nobody let it go")


@dataclass
class StubJudge:
    """Finds all answers equal."""

    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    contradictions: tuple[tuple[int, int, str], ...] = ()

    def preparation(self, _question: str) -> None:
        """Always ready."""

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        self.asked.append((question, tuple(answers)))
        n = len(answers)
        return Comparison((9_900,) * (n * (n - 1) // 2), self.contradictions)


@dataclass
class StubNetwork:
    """Notes what is sent, in a list that other stubs may share."""

    events: list[str] = field(default_factory=list)
    broadcasts: list[bytes] = field(default_factory=list)
    sent: list[tuple[bytes, bytes]] = field(default_factory=list)

    def broadcast(self, frame: bytes) -> None:
        self.events.append("broadcast")
        self.broadcasts.append(frame)

    def set_members(self, members: Sequence[object]) -> None:
        self.events.append(f"{len(members)} members")

    def send(self, public_key: bytes, frame: bytes) -> None:
        self.events.append("send")
        self.sent.append((public_key, frame))
