"""Making a new node's folder."""

from contextlib import ExitStack
from pathlib import Path

from daemon.config import TEMPLATE
from daemon.errors import UsageError
from daemon.files import write_new, write_whole
from daemon.identity import MemberRecord, check_addresses, check_name, create_key
from inference.catalog import DEFAULT_CPU_MODEL, DEFAULT_CUDA_MODEL
from p2p.addresses import parse_listenable
from p2p.errors import BadAddress


def init(
    folder: Path,
    *,
    name: str,
    addresses: list[str],
    listen: str,
    http_port: int,
    threads: int = 0,
    mdns: bool = True,
) -> None:
    """Key, member record and configuration; refuses to touch a folder that has any of them."""
    check_name(name)
    checked = check_addresses(addresses)
    try:
        parse_listenable(listen)
    except BadAddress as error:
        raise UsageError(str(error)) from None
    if not 0 <= http_port <= 65_535:
        raise UsageError("The HTTP port must be from 0 to 65535.")
    for file in ("identity.key", "member.json", "qnode.toml"):
        if (folder / file).exists():
            raise UsageError(
                f"{folder / file} exists already: this folder has an identity. Choose another "
                "folder; an identity that is overwritten is lost."
            )
    text = TEMPLATE.format(
        name=_quoted(name),
        listen=_quoted(listen),
        mdns=str(mdns).lower(),
        http_port=http_port,
        cuda_model=DEFAULT_CUDA_MODEL,
        cpu_model=DEFAULT_CPU_MODEL,
        threads=threads,
    )
    _make_all(folder, name, checked, text)


def set_bootstrap(folder: Path, addresses: list[str]) -> None:
    """Names the addresses that a new node tries first; only where none are named yet."""
    path = folder / "qnode.toml"
    listed = ", ".join(_quoted(address) for address in addresses)
    write_whole(path, path.read_text().replace("bootstrap = []", f"bootstrap = [{listed}]"))


def _make_all(folder: Path, name: str, addresses: tuple[str, ...], text: str) -> None:
    """All three files, or none: a folder with half an identity could not be used or made anew."""
    with ExitStack() as undo:
        key = create_key(folder / "identity.key")
        undo.callback((folder / "identity.key").unlink)  # nobody has seen this key yet
        record = MemberRecord(name, key.public_key().public_bytes_raw(), addresses)
        write_new(folder / "member.json", record.to_text(key))
        undo.callback((folder / "member.json").unlink)
        write_new(folder / "qnode.toml", text)
        undo.pop_all()


def _quoted(text: str) -> str:
    """A TOML string; names and addresses have no characters that need escaping."""
    return f'"{text}"'
