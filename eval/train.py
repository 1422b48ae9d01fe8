"""Teach a packaged embedder to read pairs: writes an adapter for ``inference/data``.

    python eval/train.py minilm inference/data/reader-minilm.safetensors

``e5`` instead of ``minilm`` teaches the multilingual embedder, which reads Chinese, with the groups
of both languages: what sets two answers against each other is much the same in both.
``--start ADAPTER`` goes on with an adapter that has learnt already.

Each group of answers gives all pairs of its texts at once: those of one class mean the same, those
of two classes contradict each other, and what is under ``other`` does neither, nor do two answers
to another question that are set beside each group. Three variants of answers are added to each
group (``variants.py``), and the development pairs are used too. Groups
marked ``held_out`` are not learnt from: ``fit.py`` weighs the reader's verdict on them against the
other evidence, and the last line of each epoch is about them.

The lower layers of the embedder stay as they are, so that their output is computed once. The upper
ones get a low-rank change (LoRA: Hu et al., ICLR 2022), trained together with the alignment network
by cross-entropy over the three relations. An epoch takes about ten minutes of a core, and the
adapter is written after each. The result depends on the order of floating-point sums: a second run
gives other digits.
"""

import argparse
import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import groups
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from inference.analysis import analyse
from inference.backends.alignment import CONTRADICTION, OTHER, SAME, Alignment
from inference.catalog import DEFAULT_EMBEDDER, MULTILINGUAL_EMBEDDER
from inference.embedding import EmbedderSettings, load_embedder
from inference.equivalence import what_was_asked
from inference.reader import COMPLETED_CHARACTERS_MAX

PAIRS = ("pairs-dev.jsonl", "pairs-dev-2.jsonl", "pairs-dev-3.jsonl", "pairs-dev-4.jsonl")
RELATIONS = {"same": SAME, "contradict": CONTRADICTION, "different": OTHER}
WEIGHTS = (1.0, 0.8, 0.4)
"""Of the relations: there are fewer pairs that mean the same, and the third is easy."""

RANK = 16
GROUPS_A_STEP = 6
PAIRS_A_GROUP = 36
UNITS_AT_ONCE = 32
TOKENS_MAX = 200
"""Of an answer; what is longer is cut in training."""

CHANGED = (
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense",
)  # fmt: skip
"""The matrices of a layer that get a change."""


@dataclass(slots=True)
class Group:
    """Texts and labelled pairs of their places."""

    question: str
    held_out: bool = False
    texts: list[str] = field(default_factory=list)
    pairs: list[tuple[int, int, int]] = field(default_factory=list)
    units: list[list[int]] = field(default_factory=list)


class LowRank(nn.Module):
    """A linear layer with a change of low rank, which is nothing at first."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.a = nn.Parameter(torch.randn(RANK, linear.in_features) / math.sqrt(linear.in_features))
        self.b = nn.Parameter(torch.zeros(linear.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.linear(x) + F.linear(F.linear(x, self.a), self.b)
        return changed


def learnt(*, chinese: bool) -> list[Group]:
    """Of one language."""
    found = []
    rows = groups.rows(groups.FILES, chinese=chinese)
    for row, texts, pairs in groups.beside_strangers(rows):
        labels = [(i, j, RELATIONS[relation]) for i, j, relation in pairs]
        found.append(Group(row["question"], row["held_out"], texts, labels))
    by_question: dict[str, Group] = {}
    for row in groups.rows(PAIRS, chinese=chinese):
        key = row["question"] or row["id"].rsplit("-", 1)[0]
        group = by_question.setdefault(key, Group(row["question"]))
        for text in (row["a"], row["b"]):
            if text not in group.texts:
                group.texts.append(text)
        places = (group.texts.index(row["a"]), group.texts.index(row["b"]))
        group.pairs.append((*places, RELATIONS[row["relation"]]))
    return found + list(by_question.values())


class Trainer:
    """One embedder with its change, and the alignment network."""

    def __init__(self, model: str, frozen: int) -> None:
        """The ``frozen`` lowest layers stay as they are."""
        encoder = load_embedder(EmbedderSettings(model)).encoder
        self.tokenizer = encoder.tokenizer
        self.prompt = encoder.prompts.get(encoder.default_prompt_name or "", "") or ""
        self.bert = encoder[0].auto_model.float().requires_grad_(False)
        self.frozen = frozen
        self.layers = self.bert.encoder.layer[frozen:]
        self.changes: dict[str, LowRank] = {}
        for number, layer in enumerate(self.layers, start=frozen):
            for path in CHANGED:
                place, _, name = path.rpartition(".")
                owner = layer.get_submodule(place)
                change = LowRank(getattr(owner, name))
                setattr(owner, name, change)
                self.changes[f"encoder.layer.{number}.{path}"] = change
        self.alignment = Alignment(self.bert.config.hidden_size, dropout=0.1)
        self.hidden: list[tuple[Tensor, Tensor]] = []
        """Of each unit: what the frozen layers give, and which tokens are the text's own."""

    def resume(self, path: Path) -> None:
        """Goes on with what `save` wrote."""
        tensors = {key: value.float() for key, value in load_file(path).items()}
        self.alignment.load_state_dict(
            {
                key.removeprefix("alignment."): value
                for key, value in tensors.items()
                if key.startswith("alignment.")
            }
        )
        for name, change in self.changes.items():
            change.a.data, change.b.data = tensors[f"{name}.a"], tensors[f"{name}.b"]

    def prepare(self, found: list[Group]) -> None:
        """Runs the frozen layers over all texts, cut as ``inference.reader`` cuts them."""
        rows: dict[tuple[str, str], int] = {}
        for group in found:
            asked = what_was_asked(group.question)
            for text in group.texts:
                analysis = analyse(text)
                whole = analysis.whole.text
                if len(whole) <= COMPLETED_CHARACTERS_MAX:
                    units = [(f"{self.prompt}{asked} " if asked else self.prompt, whole)]
                else:
                    units = [(self.prompt, part.text) for part in analysis.sentences]
                group.units.append([rows.setdefault(unit, len(rows)) for unit in units])
        units_by_length = sorted(rows, key=lambda unit: len(unit[0]) + len(unit[1]))
        found_hidden: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        for first in range(0, len(units_by_length), UNITS_AT_ONCE):
            batch = units_by_length[first : first + UNITS_AT_ONCE]
            found_hidden |= zip(batch, self._below(batch), strict=True)
        self.hidden = [found_hidden[unit] for unit in rows]

    def _below(self, units: list[tuple[str, str]]) -> list[tuple[Tensor, Tensor]]:
        """What the frozen layers give for a batch, and which tokens are the texts' own."""
        encoded = self.tokenizer(
            [before + text for before, text in units],
            return_offsets_mapping=True,
            truncation=True,
            max_length=256,
            padding=True,
            return_tensors="pt",
        )
        ids, mask = encoded["input_ids"], encoded["attention_mask"]
        with torch.inference_mode():
            x = self.bert.embeddings(input_ids=ids, token_type_ids=torch.zeros_like(ids))
            for layer in self.bert.encoder.layer[: self.frozen]:
                x = _output(layer(x, (1.0 - mask[:, None, None, :]) * -1e9))
        found = []
        for row, (before, _) in enumerate(units):
            length = int(mask[row].sum())
            offsets = encoded["offset_mapping"][row, :length]
            own = (offsets[:, 1] > offsets[:, 0]) & (offsets[:, 1] > len(before))
            found.append((x[row, :length].half().clone(), own))
        return found

    def _tokens(self, units: list[int]) -> dict[int, Tensor]:
        """The vectors of the texts' own tokens after all layers, in batches of like length."""
        found = {}
        waiting = sorted(units, key=lambda unit: len(self.hidden[unit][0]))
        while waiting:
            size = 1
            while (
                size < min(len(waiting), 48)
                and (size + 1) * len(self.hidden[waiting[size]][0]) <= 1_600
            ):
                size += 1
            batch, waiting = waiting[:size], waiting[size:]
            x = nn.utils.rnn.pad_sequence(
                [self.hidden[unit][0].float() for unit in batch], batch_first=True
            )
            lengths = torch.tensor([len(self.hidden[unit][0]) for unit in batch])
            padded = torch.arange(x.shape[1])[None, :] >= lengths[:, None]
            for layer in self.layers:
                x = _output(layer(x, padded[:, None, None, :] * -1e9))
            for row, unit in enumerate(batch):
                found[unit] = x[row, : lengths[row]][self.hidden[unit][1]]
        return found

    def logits(self, batch: list[Group]) -> tuple[Tensor, Tensor]:
        """Logits and labels of the groups' pairs."""
        tokens = self._tokens(sorted({u for g in batch for units in g.units for u in units}))
        logits, labels = [], []
        for group in batch:
            texts = [torch.cat([tokens[u] for u in units])[:TOKENS_MAX] for units in group.units]
            texts = [text if len(text) else torch.zeros(1, text.shape[1]) for text in texts]
            pairs = group.pairs
            if self.alignment.training and len(pairs) > PAIRS_A_GROUP:
                pairs = random.sample(pairs, PAIRS_A_GROUP)
            lengths = torch.tensor([len(text) for text in texts])
            x = nn.utils.rnn.pad_sequence(texts, batch_first=True)
            mask = torch.arange(x.shape[1])[None, :] < lengths[:, None]
            compared, attended = self.alignment.prepare(x)
            i, j, relation = torch.tensor(pairs).T
            logits.append(
                self.alignment(
                    (compared[i], attended[i]), mask[i], (compared[j], attended[j]), mask[j]
                )
            )
            labels.append(relation)
        return torch.cat(logits), torch.cat(labels)

    def train(self, found: list[Group], epochs: int, rate: float, out: Path) -> None:
        """All epochs, with a line of progress now and then; saved after each."""
        taught = [group for group in found if not group.held_out]
        held_out = [group for group in found if group.held_out]
        changes = [p for change in self.changes.values() for p in (change.a, change.b)]
        network = list(self.alignment.parameters())
        optimiser = torch.optim.AdamW(
            [{"params": changes, "weight_decay": 0.0}, {"params": network, "weight_decay": 0.02}],
            lr=rate,
        )
        steps = epochs * math.ceil(len(taught) / GROUPS_A_STEP)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rate, total_steps=steps + 1, pct_start=0.08
        )
        began_s, step = time.monotonic(), 0
        for epoch in range(epochs):
            random.shuffle(taught)
            for first in range(0, len(taught), GROUPS_A_STEP):
                logits, labels = self.logits(taught[first : first + GROUPS_A_STEP])
                loss = F.cross_entropy(
                    logits, labels, weight=torch.tensor(WEIGHTS), label_smoothing=0.03
                )
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(changes + network, 1.0)
                optimiser.step()
                optimiser.zero_grad()
                schedule.step()
                step += 1
                if step % 20 == 0:
                    passed_s = time.monotonic() - began_s
                    _say(f"step {step} of {steps}, {passed_s:.0f} s, loss {loss.item():.3f}")
            self.save(out)
            asked, scenes = (
                self.separation([group for group in held_out if bool(group.question) == kind])
                for kind in (True, False)
            )
            _say(
                f"epoch {epoch + 1}: in order {asked:.3f} of held-out pairs, {scenes:.3f} of scenes"
            )

    def separation(self, found: list[Group]) -> float:
        """How often a pair that means the same is held more alike than one that contradicts."""
        self.alignment.eval()
        with torch.inference_mode():
            parts = [
                self.logits(found[first : first + GROUPS_A_STEP])
                for first in range(0, len(found), GROUPS_A_STEP)
            ]
        logits, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        self.alignment.train()
        chance = logits.log_softmax(dim=-1)[:, SAME]
        same, opposed = chance[labels == SAME], chance[labels == CONTRADICTION]
        return float((same[:, None] > opposed[None, :]).float().mean())

    def save(self, path: Path) -> None:
        """What ``inference.reader`` loads, in half precision."""
        tensors = {f"alignment.{key}": v for key, v in self.alignment.state_dict().items()}
        for name, change in self.changes.items():
            tensors |= {f"{name}.a": change.a.detach(), f"{name}.b": change.b.detach()}
        save_file({key: value.half().contiguous() for key, value in tensors.items()}, path)


def _say(line: str) -> None:
    print(line, flush=True)


def _output(found: Any) -> Tensor:
    tensor: Tensor = found[0] if isinstance(found, tuple) else found
    return tensor


def main() -> None:
    kinds = {"minilm": (DEFAULT_EMBEDDER, 2), "e5": (MULTILINGUAL_EMBEDDER, 6)}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("out", type=Path, metavar="ADAPTER")
    parser.add_argument("--start", type=Path, metavar="ADAPTER")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    random.seed(0)
    torch.manual_seed(0)
    trainer = Trainer(*kinds[options.kind])
    if options.start:
        trainer.resume(options.start)
    found = learnt(chinese=options.kind == "e5")
    if options.kind == "e5":
        found += [group for group in learnt(chinese=False) if not group.held_out]
    _say(f"{len(found)} groups")
    trainer.prepare(found)
    trainer.train(found, options.epochs, options.rate, options.out)


if __name__ == "__main__":
    main()
