"""Errors of the daemon, each one sentence for a person: what is wrong, where, what to do.

    QnodeError (exit code 1)
    ├── UsageError (2)            the operator's: a file, an option or a setting is wrong
    │   └── AlreadyRunning        another process uses the data folder, the port or the key
    ├── StorageFailed (2)         nobody's: the disk is full or broken
    ├── NodeUnreachable (3)       nobody's: no node answers at the address
    └── Left (0)                  nobody's: the members let this node go

The command line prints the sentence and exits with the code; no traceback. Anything else that
escapes is a bug.
"""


class QnodeError(Exception):
    """Root of what the daemon reports."""

    exit_code = 1


class UsageError(QnodeError):
    exit_code = 2


class AlreadyRunning(UsageError):
    pass


class StorageFailed(QnodeError):
    exit_code = 2


class NodeUnreachable(QnodeError):
    exit_code = 3


class Left(QnodeError):
    exit_code = 0
