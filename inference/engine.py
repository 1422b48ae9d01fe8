"""The interface between the daemon and whatever produces answers.

An engine is loaded once and then asked from worker threads. It answers one request at a time and
lets the others wait; a batching engine can take concurrent calls together behind the same method.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from inference.catalog import Progress, default_cache_dir
from inference.errors import InvalidRequest
from inference.language import Language

Finish = Literal["stop", "length"]

QUESTION_BYTES_MAX = 16 * 1024
INSTRUCTION_BYTES_MAX = 16 * 1024
TEMPERATURE_MILLI_MAX = 2000


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One question to the model.

    ``language`` None lets the question decide. ``temperature_milli`` is in thousandths, 0 for the
    most probable token each time. ``seed`` decides every random choice: the same request to the
    same engine on the same machine gives the same text. ``instruction`` tells the model the form
    of answer, after the question; without one it answers in a sentence.

    Raises InvalidRequest on construction for a field outside its range.
    """

    question: str
    language: Language | None
    max_tokens: int
    temperature_milli: int
    seed: int
    instruction: str = ""

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise InvalidRequest("The question is empty; ask something.")
        if len(self.question.encode("utf-8", "surrogatepass")) > QUESTION_BYTES_MAX:
            raise InvalidRequest(f"The question exceeds {QUESTION_BYTES_MAX} bytes; shorten it.")
        if len(self.instruction.encode("utf-8", "surrogatepass")) > INSTRUCTION_BYTES_MAX:
            raise InvalidRequest(f"The instruction exceeds {INSTRUCTION_BYTES_MAX} bytes.")
        if self.language not in (None, "en", "zh-TW"):
            raise InvalidRequest(f"The language {self.language!r} is unknown; use en or zh-TW.")
        if self.max_tokens < 1:
            raise InvalidRequest("max_tokens must be at least 1.")
        if not 0 <= self.temperature_milli <= TEMPERATURE_MILLI_MAX:
            raise InvalidRequest(f"temperature_milli must be 0 to {TEMPERATURE_MILLI_MAX}.")
        if not 0 <= self.seed < 1 << 63:
            raise InvalidRequest("seed must be 0 to 2**63 - 1.")


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer.

    ``text`` is the answer alone, ``reasoning`` what the model thought before it; either may be
    empty. ``finish`` is "length" if the token limit ended it. ``model`` is the name it was loaded
    by. ``elapsed_ms`` excludes the wait for other requests.
    """

    text: str
    reasoning: str
    finish: Finish
    model: str
    prompt_tokens: int
    output_tokens: int
    elapsed_ms: int


class Engine(Protocol):
    """A loaded model. ``generate`` may be called from several threads."""

    @property
    def model(self) -> str:
        """The name it was loaded by."""

    @property
    def device(self) -> str:
        """Where it runs, such as ``cpu`` or ``cuda:0``."""

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Generation:
        """Answer one request; blocks, for use in a worker thread.

        ``cancelled`` is called before the start and after every token, from this thread.
        Raises GenerationCancelled soon after it returns true, PromptTooLong, GenerationFailed.
        """


@runtime_checkable
class Chooser(Protocol):
    """An engine that can also tell how likely its answer is to end with each of some choices."""

    def log_likelihoods(
        self,
        request: GenerationRequest,
        said: str,
        choices: Sequence[str],
        cancelled: Callable[[], bool],
    ) -> tuple[float, ...]:
        """Natural logarithm of the probability that the model, having answered ``said`` so far,
        goes on with each choice and then ends; blocks. ``cancelled`` and the errors are those of
        ``Engine.generate``."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How to load a model.

    ``model`` as in ``catalog``, None for the default of the device. ``device`` is ``auto``,
    ``cpu``, ``cuda`` or ``cuda:1``. ``threads`` limits torch's threads in this process (None
    leaves torch's choice, all cores). ``max_context_tokens`` bounds prompt and answer together,
    and with them the memory of one request.
    """

    model: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    threads: int | None = None
    max_context_tokens: int = 4096
    cache_dir: Path = field(default_factory=default_cache_dir)


def load_engine(settings: EngineSettings, progress: Progress | None = None) -> Engine:
    """Load a model; blocks for seconds, or minutes if it must be fetched first.

    Raises ModelUnavailable, with one sentence that says what to change.
    """
    # torch and transformers take seconds to import, which `qnode --help` must not pay.
    from inference.backends.transformers_backend import load

    return load(settings, progress or (lambda _line: None))
