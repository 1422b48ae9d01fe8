"""The HTTP port."""

from typing import Final

OPERATOR_HEADER: Final = "X-Qnode-Operator"
"""Shows that a request comes from who can read the node's data folder."""
