"""`qnode.toml`: what one operator decides about one node. What all must share is in the genesis."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from daemon.errors import UsageError
from daemon.files import read_text

TEMPLATE = """\
# Configuration of one qnode. Paths are relative to this file.

name = {name!s}
key = "identity.key"          # keep it secret, back it up, never copy it to a second node
genesis = "genesis.json"      # the same file on all members
data = "data"                 # log, ledger, certificates

[p2p]
listen = [{listen!s}]
announce = []                 # addresses to tell the others, if they differ (NAT, DNS name)
bootstrap = []                # more addresses to try first, besides those in the genesis file
mdns = {mdns!s}                  # look for members on the local network

[http]
host = "127.0.0.1"            # this port has no passwords: leave it on loopback
port = {http_port}

[model]
name = "auto"                 # with CUDA: {cuda_model}
                              # else: {cpu_model}
device = "auto"               # or "cpu", "cuda", "cuda:1"
threads = {threads}                   # CPU threads for inference; 0: as many as there are cores
"""


@dataclass(frozen=True, slots=True)
class P2PConfig:
    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/4001",)
    announce: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    mdns: bool = True


@dataclass(frozen=True, slots=True)
class HttpConfig:
    host: str = "127.0.0.1"
    port: int = 8080


@dataclass(frozen=True, slots=True)
class ModelConfig:
    name: str = "auto"
    device: str = "auto"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """Paths are absolute."""

    name: str
    key: Path
    genesis: Path
    data: Path
    p2p: P2PConfig = field(default_factory=P2PConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


def read_config(path: Path) -> Config:
    """The configuration in a file; `UsageError` names the setting that is wrong."""
    try:
        document = tomllib.loads(read_text(path, "configuration"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    try:
        return _parse(document, path.resolve().parent)
    except UsageError as error:
        raise UsageError(f"In {path}: {error}") from None


def _parse(document: dict[str, Any], folder: Path) -> Config:
    sections = {name: document.pop(name, {}) for name in ("p2p", "http", "model")}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise UsageError(f"{name} must be a section: [{name}].")
    defaults = {"key": "identity.key", "genesis": "genesis.json", "data": "data"}
    top = {**defaults, **document}
    _check_known(top, {"name", *defaults}, "")
    for setting, value in top.items():
        _check_text(setting, value)
    if "name" not in top:
        raise UsageError("name is missing.")
    config = Config(
        name=top["name"],
        key=folder / top["key"],
        genesis=folder / top["genesis"],
        data=folder / top["data"],
        p2p=P2PConfig(**_section(P2PConfig, sections["p2p"], "p2p")),
        http=HttpConfig(**_section(HttpConfig, sections["http"], "http")),
        model=ModelConfig(**_section(ModelConfig, sections["model"], "model")),
    )
    if not 0 <= config.http.port <= 65_535:
        raise UsageError("http.port must be from 0 to 65535 (0: any free port).")
    if not 0 <= config.model.threads <= 1_024:
        raise UsageError("model.threads must be from 0 to 1024.")
    return config


def _section(kind: type, values: dict[str, Any], name: str) -> dict[str, Any]:
    """Values of the types that the dataclass's defaults have."""
    defaults = {f.name: getattr(kind(), f.name) for f in fields(kind)}
    _check_known(values, set(defaults), f"{name}.")
    parsed: dict[str, Any] = {}
    for setting, value in values.items():
        default = defaults[setting]
        if isinstance(default, tuple):
            if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
                raise UsageError(f"{name}.{setting} must be a list of texts.")
            parsed[setting] = tuple(value)
        elif type(value) is not type(default):
            kinds = {str: "text", int: "a whole number", bool: "true or false"}
            raise UsageError(f"{name}.{setting} must be {kinds[type(default)]}.")
        elif isinstance(value, str):
            _check_text(f"{name}.{setting}", value)
            parsed[setting] = value
        else:
            parsed[setting] = value
    return parsed


def _check_text(setting: str, value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise UsageError(f"{setting} must be text, on one line.")


def _check_known(values: dict[str, Any], known: set[str], prefix: str) -> None:
    if unknown := sorted(set(values) - known):
        raise UsageError(
            f"{prefix}{unknown[0]} is unknown; the settings are {', '.join(sorted(known))}."
        )
