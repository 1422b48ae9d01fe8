"""What can go wrong when a model is loaded or asked, sorted by whose fault it is.

::

    InferenceError
    ├── ModelUnavailable      the operator's: wrong name, no download, too little memory
    ├── InvalidRequest        the caller's: a field is outside its range
    │   └── PromptTooLong     the caller's: prompt and answer do not fit the model's context
    ├── GenerationCancelled   nobody's: the caller asked to stop
    └── GenerationFailed      nobody's: the device gave up in the middle (out of memory)

Every message is one sentence for a person: what is wrong, and what to do next. Deadlines are the
caller's business: it cancels, and knows why.
"""


class InferenceError(Exception):
    """Root of everything that this package raises on purpose."""


class ModelUnavailable(InferenceError):
    """The named model cannot be loaded on this machine; the operator must change something."""


class InvalidRequest(InferenceError, ValueError):
    """The caller asked for something outside the documented range."""


class PromptTooLong(InvalidRequest):
    """The prompt and the requested answer do not fit the model's context; nothing was cut."""


class GenerationCancelled(InferenceError):
    """The caller's ``cancelled`` callback returned true before the answer was complete."""


class GenerationFailed(InferenceError):
    """The device failed during generation; the engine stays usable for the next request."""
