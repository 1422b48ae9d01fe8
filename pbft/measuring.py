"""This replica's own measurements of answers, asked from the driver and kept while they matter."""

from dataclasses import dataclass

from pbft import digest
from pbft.context import Context
from pbft.effects import CompareAnswers
from pbft.events import AnswersCompared
from pbft.item import voters
from pbft.messages import AnswerReveal, Item, Request, Signed
from pbft.outcome import Contradiction
from pbft.types import Digest, RequestId


@dataclass(frozen=True, slots=True)
class Comparison:
    """Own measurement of a set of answers: upper triangle, row-major."""

    similarities_bp: tuple[int, ...]
    contradictions: tuple[Contradiction, ...]


class Measurements:
    """Comparisons by request, attempt and texts; None while one is under way.

    The texts are named by digest: the answers of the same replicas may be others in another view,
    if one of them committed to two.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[RequestId, dict[tuple[int, Digest], Comparison | None]] = {}

    def of(
        self,
        request: Request,
        reveals: tuple[Signed[AnswerReveal], ...],
        request_id: RequestId,
        attempt: int,
    ) -> Comparison | None:
        """The measurement of these answers; None if it has yet to come. Values of fields agree
        exactly or not, and are not measured."""
        votes = voters(reveals)
        if len(votes) < 2 or request.fields:
            return Comparison((), ())
        answers = digest.plain_digest(
            b"answers", b"".join(digest.answer_digest(vote.answer) for vote in votes)
        )
        known = self._known.setdefault(request_id, {})
        if (attempt, answers) not in known:
            known[attempt, answers] = None
            texts = tuple(vote.answer.text for vote in votes)
            self._context.emit(CompareAnswers(request_id, attempt, answers, request.prompt, texts))
        return known[attempt, answers]

    def of_item(self, item: Item) -> Comparison | None:
        request = item.request.message
        request_id = digest.request_id(request)
        return self.of(request, item.reveals, request_id, item.attempt)

    def take(self, event: AnswersCompared) -> None:
        known = self._known.get(event.request_id, {})
        if (event.attempt, event.answers) in known:  # else nobody needs it any more
            known[event.attempt, event.answers] = Comparison(
                event.similarities_bp, event.contradictions
            )

    def forget(self, request_id: RequestId) -> None:
        """The request is decided."""
        self._known.pop(request_id, None)
