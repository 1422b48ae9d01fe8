"""Reading two answers side by side: an embedder that was taught to tell agreement from opposition.

A cosine compares what two answers are about. The reader looks at their tokens: the packaged
embedder with a low-rank change of its upper layers (LoRA: Hu et al., ICLR 2022) gives each token a
vector that depends on its sentence, and an alignment network (``backends.alignment``) sets each
token against its counterpart in the other answer. Both were trained by ``eval/train.py`` on groups
of answers to one question, and come with qnode; the embedder's own weights come from its package.
Each answer is read once, however many it is compared with.

A short answer is read behind its question, since "Yes." says nothing alone; a long one sentence by
sentence, so that sentences which several answers share are read once.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.analysis import Analysis
from inference.calibration import UNIT, Likeness
from inference.catalog import DEFAULT_EMBEDDER, MULTILINGUAL_EMBEDDER, Progress
from inference.embedding import Embedder, EmbedderSettings, load_embedder
from inference.errors import ModelUnavailable

ADAPTERS = {
    DEFAULT_EMBEDDER: "reader-minilm.safetensors",
    MULTILINGUAL_EMBEDDER: "reader-e5.safetensors",
}
"""The embedders that were taught, and the files in ``inference/data``."""

COMPLETED_CHARACTERS_MAX = 240
"""Answers of this length are read behind their question, which helps short ones; a long one is read
alone, which saves half the work."""
_TOKENS_MAX = 1_024
"""Tokens of an answer that are aligned; guards and cosines look at the rest too."""
_BATCH_TOKENS = 4_096
_ALIGNED_AT_ONCE = 2_000_000
"""Pairs of tokens laid beside each other at once: bounds the memory, about 100 MB."""

_LOGIT_MAX = 8

Unit = tuple[str, str]
"""What stands before a text, and the text."""


@dataclass(frozen=True, slots=True)
class Read:
    """An answer that was read."""

    prepared: tuple[Any, Any]
    """Two tensors (tokens, inner): see ``alignment.Prepared``."""
    alone: npt.NDArray[np.float64]
    """The mean of all its tokens' vectors, of length 1."""
    sentences: npt.NDArray[np.float64]
    """(parts, width), the same for each part that was read by itself."""


class Reader:
    """A taught embedder; safe to use from several threads, one at a time runs."""

    def __init__(self, embedder: Embedder, alignment: Any, threads: int | None) -> None:
        """``embedder`` has the adapter in it; use ``load_reader``."""
        encoder = embedder.encoder
        self.model = embedder.model
        self._windows = embedder.windows
        self._transformer = encoder[0].auto_model
        self._tokenizer = encoder.tokenizer
        self._prompt = encoder.prompts.get(encoder.default_prompt_name or "", "") or ""
        self._tokens_max = int(encoder.max_seq_length or 512)
        self._alignment = alignment
        self._threads = threads
        self._turn = threading.Lock()

    def likeness(
        self, asked: str, analyses: Sequence[Analysis], pairs: Sequence[tuple[int, int]]
    ) -> list[Likeness]:
        """Of each pair of places in ``analyses``; ``asked`` is the question, shortened."""
        needed = sorted({place for pair in pairs for place in pair})
        reads = dict(zip(needed, self.read(asked, [analyses[n] for n in needed]), strict=True))
        sides = [(reads[i], reads[j]) for i, j in pairs]
        return [
            _likeness(a, b, chances)
            for (a, b), chances in zip(sides, self.align(sides), strict=True)
        ]

    def read(self, asked: str, answers: Sequence[Analysis]) -> list[Read]:
        """Each answer by itself."""
        rows: dict[Unit, int] = {}
        parts = [
            [rows.setdefault(unit, len(rows)) for unit in self._units(asked, answer)]
            for answer in answers
        ]
        with self._turn:
            self._use_threads()
            tokens = self._token_vectors(list(rows))
            return [self._read([tokens[row] for row in own]) for own in parts]

    def align(self, pairs: Sequence[tuple[Read, Read]]) -> npt.NDArray[np.float64]:
        """Log-probabilities, shape (pairs, 3): the same, a contradiction, neither."""
        with self._turn:
            self._use_threads()
            return self._aligned(pairs)

    def _units(self, asked: str, answer: Analysis) -> list[Unit]:
        text = answer.whole.text
        if len(text) <= COMPLETED_CHARACTERS_MAX:
            return [(f"{self._prompt}{asked} " if asked else self._prompt, text)]
        return [(self._prompt, part.text) for part in answer.sentences]

    def _use_threads(self) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)  # kept per calling thread

    def _token_vectors(self, units: list[Unit]) -> list[Any]:
        """The vectors of the tokens of each text, without what stands before it."""
        import torch

        found: list[list[Any]] = [[] for _ in units]
        pieces = [
            (row, encoded, start)
            for row, unit in enumerate(units)
            for encoded, start in self._pieces(unit)
        ]
        sizes = [len(encoded["input_ids"]) for _, encoded, _ in pieces]
        # By length, so that little is padded; the order of a unit's pieces is kept.
        for batch in _batches(sizes):
            longest = max(sizes[place] for place in batch)
            ids = torch.full((len(batch), longest), int(self._tokenizer.pad_token_id or 0))
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, place in enumerate(batch):
                ids[row, : sizes[place]] = torch.tensor(pieces[place][1]["input_ids"])
                mask[row, : sizes[place]] = 1
            with torch.inference_mode():
                hidden = self._transformer(input_ids=ids, attention_mask=mask).last_hidden_state
            for row, place in enumerate(batch):
                unit, encoded, start = pieces[place]
                own = [
                    n
                    for n, (first, last) in enumerate(encoded["offset_mapping"])
                    if last > max(first, start)
                ]
                # A piece without a token, such as a lone control character, still has its frame.
                found[unit].append((place, hidden[row, own or [0]]))
        return [torch.cat([vectors for _, vectors in sorted(own, key=_first)]) for own in found]

    def _pieces(self, unit: Unit) -> list[tuple[Any, int]]:
        """The encoded unit and where its text starts; or windows of the text alone, if the model
        does not read the unit whole."""
        before, text = unit
        encoded = self._encode(before + text)
        if len(encoded["input_ids"]) <= self._tokens_max:
            return [(encoded, len(before))]
        return [(self._encode(window), 0) for window, _ in self._windows(text)]

    def _encode(self, text: str) -> Any:
        return self._tokenizer(text, return_offsets_mapping=True, verbose=False)

    def _read(self, parts: list[Any]) -> Read:
        import torch

        tokens = torch.cat(parts)
        with torch.inference_mode():
            prepared = self._alignment.prepare(tokens[:_TOKENS_MAX][None])
        sentences = np.stack([_unit(part.double().mean(dim=0).numpy()) for part in parts])
        alone = _unit(tokens.double().mean(dim=0).numpy())
        return Read((prepared[0][0], prepared[1][0]), alone, sentences)

    def _aligned(self, pairs: Sequence[tuple[Read, Read]]) -> npt.NDArray[np.float64]:
        import torch

        found = np.zeros((len(pairs), 3))
        sizes = [max(len(a.prepared[0]), len(b.prepared[0])) for a, b in pairs]
        for batch in _batches(sizes, lambda size: size * size, _ALIGNED_AT_ONCE):
            sides = [_stacked([pairs[place][side] for place in batch]) for side in (0, 1)]
            with torch.inference_mode():
                logits = self._alignment(*sides[0], *sides[1])
                found[batch] = logits.double().log_softmax(dim=-1).numpy()
        return found


def load_reader(settings: EmbedderSettings, progress: Progress | None = None) -> Reader:
    """Load a taught embedder, on the CPU: what nodes measure agrees best on one kind of device.

    Raises ModelUnavailable with the next step.
    """
    from safetensors.torch import load

    from inference.backends.alignment import Alignment

    embedder = load_embedder(replace(settings, device="cpu"), progress)
    tensors = load(_adapter(ADAPTERS[settings.model]))
    state = embedder.encoder[0].auto_model.state_dict()
    try:
        for key in [key for key in tensors if key.endswith(".a")]:
            name = key.removesuffix(".a")
            change = tensors[f"{name}.b"].float() @ tensors[key].float()
            state[f"{name}.weight"] += change
        head = {
            key.removeprefix("alignment."): value.float()
            for key, value in tensors.items()
            if key.startswith("alignment.")
        }
        alignment = Alignment(int(head["norm.weight"].shape[0]))
        alignment.load_state_dict(head)
    except (KeyError, RuntimeError) as error:
        raise ModelUnavailable(
            f"What qnode taught the embedder {settings.model} does not fit it ({error}); install "
            "the package's pinned requirements."
        ) from error
    return Reader(embedder, alignment.eval(), settings.threads)


def _adapter(name: str) -> bytes:
    return Path(str(files("inference") / "data" / name)).read_bytes()


def _likeness(a: Read, b: Read, chances: npt.NDArray[np.float64]) -> Likeness:
    """``chances``: logarithms of the three probabilities."""
    alone = round(float(a.alone @ b.alone) * UNIT)
    table = a.sentences @ b.sentences.T
    weakest = min(float(table.max(axis=0).min()), float(table.max(axis=1).min()))
    same, opposed, other = chances
    return Likeness(
        alone,
        alone,  # short answers were read behind their question
        round(weakest * UNIT),
        read_same=_logit(same - np.logaddexp(opposed, other)),
        read_opposed=_logit(opposed - np.logaddexp(same, other)),
    )


def _logit(value: float) -> int:
    """In ten-thousandths, within what can still mean anything."""
    return round(min(max(float(value), -_LOGIT_MAX), _LOGIT_MAX) * UNIT)


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return found


def _batches(
    sizes: Sequence[int], cost: Any = lambda size: size, budget: int = _BATCH_TOKENS
) -> list[list[int]]:
    """Places by size, in batches whose padded cost stays within the budget if it can."""
    batches: list[list[int]] = []
    for place in sorted(range(len(sizes)), key=lambda place: (sizes[place], place)):
        last = batches[-1] if batches else None
        if last is not None and (len(last) + 1) * cost(sizes[place]) <= budget:
            last.append(place)
        else:
            batches.append([place])
    return batches


def _stacked(reads: list[Read]) -> tuple[tuple[Any, Any], Any]:
    """Padded tensors of several answers, and which of their tokens are real."""
    from torch import arange, tensor
    from torch.nn.utils.rnn import pad_sequence

    projected = pad_sequence([read.prepared[0] for read in reads], batch_first=True)
    attended = pad_sequence([read.prepared[1] for read in reads], batch_first=True)
    lengths = tensor([len(read.prepared[0]) for read in reads])
    return (projected, attended), arange(projected.shape[1])[None, :] < lengths[:, None]
