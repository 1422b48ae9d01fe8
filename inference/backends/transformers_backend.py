"""The engine on transformers: one code path for packaged and hub models, CPU and CUDA."""

import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from inference.backends.likelihood import log_likelihoods
from inference.backends.loading import LoadedModel, load_model
from inference.catalog import Progress
from inference.engine import EngineSettings, Generation, GenerationRequest
from inference.errors import GenerationCancelled, GenerationFailed, PromptTooLong
from inference.prompting import build_chat, sanitise
from inference.quiet import quiet_libraries
from inference.reasoning import CLOSE_TAG, OPEN_TAG, split_reasoning
from inference.sampling import SeededNucleus

# How long a request that waits for its turn goes without looking at its `cancelled`.
_TURN_POLL_S = 0.05


def load(settings: EngineSettings, progress: Progress) -> "TransformersEngine":
    """Load the model that ``settings`` names; raise ModelUnavailable."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    with quiet_libraries():
        return TransformersEngine(load_model(settings, progress), settings.threads)


class TransformersEngine:
    """Answers one request at a time; concurrent callers wait for their turn."""

    def __init__(self, loaded: LoadedModel, threads: int | None) -> None:
        """``threads`` as in EngineSettings."""
        self._loaded = loaded
        self._threads = threads
        self._turn = threading.Lock()
        added = loaded.tokenizer.added_tokens_decoder.values()
        self._special_tokens = frozenset(token.content for token in added)

    @property
    def model(self) -> str:
        """The name it was loaded by."""
        return self._loaded.name

    @property
    def device(self) -> str:
        """Where it runs, such as ``cpu`` or ``cuda:0``."""
        return str(self._loaded.device)

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Generation:
        """Answer one request; see ``Engine.generate``."""
        prompt = render_prompt(self._loaded.tokenizer, request, self._special_tokens)
        encoded = self._encode(prompt, request.max_tokens)
        self._wait_for_turn(cancelled)
        try:
            start = time.monotonic()
            output = self._run(encoded, request, cancelled)
            elapsed_ms = round((time.monotonic() - start) * 1000)
        finally:
            self._turn.release()
        finished = bool(output) and output[-1] in self._loaded.model.generation_config.eos_token_id
        split = split_reasoning(
            self._decode(output), opened_by_template=prompt.rstrip().endswith(OPEN_TAG)
        )
        return Generation(
            text=split.answer,
            reasoning=split.reasoning,
            finish="stop" if finished else "length",
            model=self.model,
            prompt_tokens=encoded["input_ids"].shape[1],
            output_tokens=len(output),
            elapsed_ms=elapsed_ms,
        )

    def log_likelihoods(
        self,
        request: GenerationRequest,
        said: str,
        choices: Sequence[str],
        cancelled: Callable[[], bool],
    ) -> tuple[float, ...]:
        """How likely the answer ends with each choice; see ``Chooser.log_likelihoods``."""
        prompt = render_prompt(self._loaded.tokenizer, request, self._special_tokens)
        if prompt.rstrip().endswith(OPEN_TAG):
            prompt = f"{prompt.rstrip()}\n{CLOSE_TAG}\n\n"  # its thoughts are over
        said = sanitise(said, self._special_tokens).text
        encoded = self._encode(prompt + said, 0)
        self._wait_for_turn(cancelled)
        try:
            return log_likelihoods(self._loaded, encoded["input_ids"], choices, cancelled)
        finally:
            self._turn.release()

    def _encode(self, prompt: str, max_tokens: int) -> Any:
        # The template already wrote the opening tokens.
        encoded = self._loaded.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        prompt_tokens = encoded["input_ids"].shape[1]
        if prompt_tokens + max_tokens > self._loaded.context_tokens:
            raise PromptTooLong(
                f"The question takes {prompt_tokens} tokens and the answer may take {max_tokens}, "
                f"but {self.model} is set to {self._loaded.context_tokens} in all; shorten the "
                "question or lower max_tokens."
            )
        return encoded.to(self._loaded.device)

    def _wait_for_turn(self, cancelled: Callable[[], bool]) -> None:
        while True:
            if cancelled():
                raise GenerationCancelled("The request was cancelled before the model began.")
            if self._turn.acquire(timeout=_TURN_POLL_S):
                return

    def _run(
        self, encoded: Any, request: GenerationRequest, cancelled: Callable[[], bool]
    ) -> list[int]:
        """Generate; return the new tokens, the end token included."""
        if self._threads is not None and torch.get_num_threads() != self._threads:
            # OpenMP keeps the count per calling thread, and worker threads come and go.
            torch.set_num_threads(self._threads)
        processors = LogitsProcessorList()
        if request.temperature_milli > 0:
            processors.append(SeededNucleus([request.seed], [request.temperature_milli / 1000]))
        cancellation = _Cancellation(cancelled)
        try:
            with torch.inference_mode():
                tokens = self._loaded.model.generate(
                    **encoded,
                    max_new_tokens=request.max_tokens,
                    do_sample=False,  # SeededNucleus draws
                    logits_processor=processors,
                    stopping_criteria=StoppingCriteriaList([cancellation]),
                )
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise GenerationFailed(
                f"{self.device} ran out of memory during an answer; lower max_context_tokens."
            ) from error
        if cancellation.seen:
            raise GenerationCancelled("The request was cancelled while the model answered.")
        new_tokens: list[int] = tokens[0, encoded["input_ids"].shape[1] :].tolist()
        return new_tokens

    def _decode(self, tokens: list[int]) -> str:
        """The text of an answer without special tokens, but with the reasoning tags."""
        tokenizer = self._loaded.tokenizer
        tags = {OPEN_TAG, CLOSE_TAG}
        if tags.isdisjoint(tokenizer.all_special_tokens):
            return str(tokenizer.decode(tokens, skip_special_tokens=True))
        hidden = sorted(set(tokenizer.all_special_tokens) - tags, key=len, reverse=True)
        text = tokenizer.decode(tokens, skip_special_tokens=False)
        return re.sub("|".join(map(re.escape, hidden)), "", text) if hidden else str(text)


class _Cancellation(StoppingCriteria):
    """Asks the caller after every token whether to go on."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled
        self.seen = False

    def __call__(
        self, input_ids: torch.Tensor, _scores: torch.Tensor, **_options: Any
    ) -> torch.Tensor:
        self.seen = self.seen or self._cancelled()
        return torch.full((input_ids.shape[0],), self.seen, device=input_ids.device)


def render_prompt(
    tokenizer: Any, request: GenerationRequest, special_tokens: Collection[str]
) -> str:
    """The whole prompt as text, by the model's own chat template.

    Some templates refuse a system turn (Gemma's raises); the instruction then leads the user's
    turn. A model without a template, one not trained to chat, gets question and answer lines.
    """
    chat = build_chat(request.question, request.language, special_tokens, request.instruction)
    instruction, question = (turn["content"] for turn in chat)
    if not tokenizer.chat_template:
        return f"{instruction}\n\nQuestion: {question}\nAnswer:"
    try:
        return _apply_template(tokenizer, chat)
    except TemplateError:
        return _apply_template(
            tokenizer, [{"role": "user", "content": f"{instruction}\n\n{question}"}]
        )


def _apply_template(tokenizer: Any, chat: list[dict[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
