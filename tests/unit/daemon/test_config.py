"""`qnode.toml`: what `init` writes is read, and every wrong setting is named."""

import re
import tomllib
from pathlib import Path

import pytest

from daemon.config import Config, HttpConfig, ModelConfig, P2PConfig, read_config
from daemon.errors import UsageError
from daemon.setup import init


def config(folder: Path, text: str) -> Config:
    path = folder / "qnode.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def initialised(folder: Path) -> Path:
    init(
        folder,
        name="alice",
        addresses=["/dns4/alice.example/tcp/4001"],
        listen="/ip4/127.0.0.1/tcp/4002",
        http_port=8123,
        threads=3,
        mdns=False,
    )
    return folder / "qnode.toml"


def test_what_init_writes_says_what_init_was_told(tmp_path: Path) -> None:
    """The template is valid TOML and its settings are the ones given to `init`."""
    read = read_config(initialised(tmp_path))
    assert read == Config(
        name="alice",
        key=tmp_path / "identity.key",
        genesis=tmp_path / "genesis.json",
        data=tmp_path / "data",
        p2p=P2PConfig(listen=("/ip4/127.0.0.1/tcp/4002",), mdns=False),
        http=HttpConfig("127.0.0.1", 8123),
        model=ModelConfig("auto", "auto", 3),
    )


def test_every_setting_of_the_template_is_explained(tmp_path: Path) -> None:
    """An operator reads in the file itself what each setting is for, name and ports aside."""
    text = initialised(tmp_path).read_text(encoding="utf-8")
    settings = [line for line in text.splitlines() if re.match(r"\w+ = ", line)]
    document = tomllib.loads(text)
    written = sum(len(v) if isinstance(v, dict) else 1 for v in document.values())
    assert len(settings) == written == 13
    plain = [line.split(" = ")[0] for line in settings if "# " not in line]
    assert plain == ["name", "listen", "port"]


def test_the_template_shows_every_setting_there_is(tmp_path: Path) -> None:
    """No setting is known only to the source code."""
    document = tomllib.loads(initialised(tmp_path).read_text(encoding="utf-8"))
    for section, kind in (("p2p", P2PConfig), ("http", HttpConfig), ("model", ModelConfig)):
        assert set(document[section]) == set(kind.__dataclass_fields__)
    assert set(document) == set(Config.__dataclass_fields__)


def test_a_short_file_has_defaults(tmp_path: Path) -> None:
    """Only the name is required, and paths are beside the file."""
    read = config(tmp_path, 'name = "a"')
    assert read == Config("a", *(tmp_path / f for f in ("identity.key", "genesis.json", "data")))


def test_absolute_paths_stay_as_they_are(tmp_path: Path) -> None:
    """A path that is absolute is not taken to be in the file's folder."""
    assert config(tmp_path, 'name = "a"\ndata = "/var/lib/qnode"').data == Path("/var/lib/qnode")


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("", "name"),
        ("name = 1", "name"),
        ('name = ""', "name"),
        ('name = "a"\nnmae = "b"', "nmae"),
        ('name = "a"\nkey = 3', "key"),
        ('name = "a"\ngenesis = []', "genesis"),
        ('name = "a"\ndata = ""', "data"),
        ('name = "a"\np2p = 1', "p2p"),
        ('name = "a"\nhttp = "x"', "http"),
        ('name = "a"\nmodel = []', "model"),
        ('name = "a"\n[p2p]\nlisten = "x"', "p2p.listen"),
        ('name = "a"\n[p2p]\nlisten = [1]', "p2p.listen"),
        ('name = "a"\n[p2p]\nannounce = {}', "p2p.announce"),
        ('name = "a"\n[p2p]\nbootstrap = [["x"]]', "p2p.bootstrap"),
        ('name = "a"\n[p2p]\nmdns = 1', "p2p.mdns"),
        ('name = "a"\n[p2p]\nmdns = "true"', "p2p.mdns"),
        ('name = "a"\n[p2p]\nport = 1', "p2p.port"),
        ('name = "a"\n[http]\nport = true', "http.port"),
        ('name = "a"\n[http]\nport = 8080.0', "http.port"),
        ('name = "a"\n[http]\nport = "8080"', "http.port"),
        ('name = "a"\n[http]\nport = -1', "http.port"),
        ('name = "a"\n[http]\nport = 65536', "http.port"),
        ('name = "a"\n[http]\nhost = 1', "http.host"),
        ('name = "a"\n[http]\nhost = ""', "http.host"),
        ('name = "a"\n[http]\npassword = "x"', "http.password"),
        ('name = "a"\n[model]\nname = 1', "model.name"),
        ('name = "a"\n[model]\nname = ""', "model.name"),
        ('name = "a"\n[model]\ndevice = 0', "model.device"),
        ('name = "a"\n[model]\nthreads = -1', "model.threads"),
        ('name = "a"\n[model]\nthreads = 1025', "model.threads"),
        ('name = "a"\n[model]\nthreads = 1.5', "model.threads"),
        ('name = "a"\n[model]\ntemperature = 1', "model.temperature"),
        ('name = "a"\nkey = "a\\u0000b"', "key"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, setting: str) -> None:
    """The error is one sentence with the file and the setting; nothing wrong passes."""
    with pytest.raises(UsageError) as caught:
        config(tmp_path, text)
    sentence = str(caught.value)
    assert f": {setting} " in sentence
    assert str(tmp_path / "qnode.toml") in sentence
    assert "\n" not in sentence
    assert sentence.endswith((".", "].", ")."))


def test_an_unknown_setting_lists_the_known_ones(tmp_path: Path) -> None:
    """A typing mistake is mended without looking into the manual."""
    with pytest.raises(UsageError, match="the settings are device, name, threads"):
        config(tmp_path, 'name = "a"\n[model]\nthread = 1')


@pytest.mark.parametrize("text", ["name", 'name = "a"\nname = "b"', "[p2p", 'name = "a\nb"'])
def test_what_is_not_toml_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    """The place of the mistake is given, in one line."""
    with pytest.raises(UsageError, match=r"is not valid TOML: .*\(at (line|end) ") as caught:
        config(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Absent, a folder, not text, endless: each has its sentence."""
    with pytest.raises(UsageError, match="There is no configuration at"):
        read_config(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_config(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(UsageError, match="not UTF-8"):
        read_config(tmp_path / "latin.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * 1_048_577)
    with pytest.raises(UsageError, match="larger than"):
        read_config(tmp_path / "long.toml")
