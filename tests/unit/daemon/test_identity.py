"""Key files and member records: the one secret of a node, and what others may know of it."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from daemon.errors import UsageError
from daemon.identity import create_key, load_key, read_member_record
from daemon.setup import init
from tests.support.founding import member, member_text
from tests.support.keyring import private_key


def key_file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "identity.key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    data: bytes = key.private_bytes(Encoding.PEM, form, NoEncryption())
    return data


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_key(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("umask", [0, 0o022, 0o277])
def test_a_new_key_is_its_owners_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """No umask opens the file to others, and the mode is there when the first byte is."""
    seen: list[int] = []
    real_fdopen = os.fdopen

    def watch(descriptor: int, *args: Any, **kwargs: Any) -> Any:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        assert os.fstat(descriptor).st_size == 0
        return real_fdopen(descriptor, *args, **kwargs)

    monkeypatch.setattr(os, "fdopen", watch)
    before = os.umask(umask)
    try:
        create_key(tmp_path / "identity.key")
    finally:
        os.umask(before)
    assert [mode & 0o077 for mode in seen] == [0]
    assert stat.S_IMODE((tmp_path / "identity.key").stat().st_mode) & 0o177 == 0


def test_a_new_key_is_mode_0600(tmp_path: Path) -> None:
    """Under an ordinary umask the mode is exactly 0600, and the key is read back."""
    before = os.umask(0)
    try:
        key = create_key(tmp_path / "identity.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "identity.key").stat().st_mode) == 0o600
    assert load_key(tmp_path / "identity.key").private_bytes_raw() == key.private_bytes_raw()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """An identity that is overwritten is lost."""
    path = tmp_path / "identity.key"
    create_key(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        create_key(path)
    assert path.read_bytes() == before


def test_a_link_in_the_keys_place_is_not_followed(tmp_path: Path) -> None:
    """A dangling link must not make the key appear somewhere else."""
    (tmp_path / "identity.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists already"):
        create_key(tmp_path / "identity.key")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o601, 0o610, 0o660, 0o620, 0o666])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """The sentence has the mode and the command that mends it."""
    path = key_file(tmp_path, pem(private_key(1)), mode)
    sentence = refusal(path)
    assert f"mode {mode:04o}" in sentence
    assert f"chmod 600 {path}" in sentence


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_of_the_owner_alone_is_taken(tmp_path: Path, mode: int) -> None:
    """Read-only is fine too."""
    path = key_file(tmp_path, pem(private_key(1)), mode)
    assert load_key(path).private_bytes_raw() == private_key(1).private_bytes_raw()


def _encrypted() -> bytes:
    return private_key(1).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )


FOREIGN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"my key\n",
    "raw": lambda: private_key(1).private_bytes_raw().hex().encode(),
    "public": lambda: private_key(1).public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ),
    "openssh": lambda: pem(private_key(1), PrivateFormat.OpenSSH),
    "encrypted": _encrypted,
    "cut": lambda: pem(private_key(1))[:-40],
    "garbled": lambda: pem(private_key(1)).replace(b"MC4", b"MC5"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_formats_are_refused(tmp_path: Path, kind: str) -> None:
    """Whatever is not an unencrypted PEM private key is called that, with a way out."""
    sentence = refusal(key_file(tmp_path, FOREIGN[kind]()))
    assert "holds no unencrypted PEM private key" in sentence
    assert "qnode init" in sentence


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: rsa.generate_private_key(65_537, 2_048),
        x25519.X25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
    ],
)
def test_keys_of_other_kinds_are_refused(tmp_path: Path, make: Callable[[], Any]) -> None:
    """A good key of the wrong algorithm is told apart from a bad file."""
    assert "key of another kind; Ed25519" in refusal(key_file(tmp_path, pem(make())))


def test_unreadable_key_files(tmp_path: Path) -> None:
    """Absent, a folder and binary rubbish have their sentences."""
    assert "There is no key file" in refusal(tmp_path / "absent.key")
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    assert "not UTF-8" in refusal(key_file(tmp_path, b"\xff\xfe"))


def test_a_key_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root service does not use a key that its owner can still exchange."""
    path = key_file(tmp_path, pem(private_key(1)))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "belongs to another user" in refusal(path)


# --- member records ----------------------------------------------------------------------------


def record_file(folder: Path, **changes: Any) -> Path:
    document = {**json.loads(member_text(1)), **changes}
    path = folder / "member.json"
    path.write_text(json.dumps(document))
    return path


def test_a_record_is_read_back(tmp_path: Path) -> None:
    """What the member signed is what the others read."""
    assert read_member_record(record_file(tmp_path)) == member(1)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "mallory"},
        {"addresses": []},
        {"addresses": ["/ip4/203.0.113.9/tcp/4001"]},
        {"public_key": member(2).public_key.hex()},
        {"signature": "00" * 64},
        {"signature": ""},
        {"signature": "xyz"},
        {"signature": None},
        {"signature": 5},
    ],
)
def test_a_changed_record_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The signature covers name, key and addresses, and proves that the sender has the key."""
    with pytest.raises(UsageError, match="the signature is wrong"):
        read_member_record(record_file(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [{"format": "qnode member 2"}, {"format": None}, {"comment": "hello"}, {"format": []}],
)
def test_a_file_of_another_form_is_no_record(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Unknown fields are not skipped: they might have been meant to matter."""
    with pytest.raises(UsageError, match="is not a member record"):
        read_member_record(record_file(tmp_path, **changes))


def test_another_records_signature_does_not_fit(tmp_path: Path) -> None:
    """A signature of the same key over another record is worth nothing here."""
    other = json.loads(member_text(1, name="other"))["signature"]
    with pytest.raises(UsageError, match="the signature is wrong"):
        read_member_record(record_file(tmp_path, signature=other))


# --- init --------------------------------------------------------------------------------------


def make(folder: Path, **changes: Any) -> None:
    options: dict[str, Any] = {
        "name": "alice",
        "addresses": [],
        "listen": "/ip4/0.0.0.0/tcp/4001",
        "http_port": 8080,
    }
    init(folder, **{**options, **changes})


def test_init_makes_a_key_and_a_record_that_belong_together(tmp_path: Path) -> None:
    """The record carries the public half of the key beside it."""
    make(tmp_path / "new" / "folder", addresses=["/ip4/192.0.2.1/tcp/4001"])
    key = load_key(tmp_path / "new" / "folder" / "identity.key")
    record = read_member_record(tmp_path / "new" / "folder" / "member.json")
    assert record.public_key == key.public_key().public_bytes_raw()
    assert (record.name, record.addresses) == ("alice", ("/ip4/192.0.2.1/tcp/4001",))


@pytest.mark.parametrize("file", ["identity.key", "member.json", "qnode.toml"])
def test_init_touches_no_folder_with_an_identity(tmp_path: Path, file: str) -> None:
    """Any one of the three files stops it before it writes anything."""
    (tmp_path / file).write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "no spaces"}, "does not fit"),
        ({"name": ""}, "does not fit"),
        ({"name": '"quoted"'}, "does not fit"),
        ({"addresses": ["nonsense"]}, "not a TCP multiaddr"),
        ({"addresses": ["/ip4/0.0.0.0/tcp/1"]}, "cannot be dialled"),
        ({"addresses": ["/ip4/192.0.2.1/tcp/1"] * 9}, "at most 8"),
        ({"listen": "/dns4/here/tcp/1"}, "no address to listen on"),
        ({"listen": "/ip4/127.0.0.1/udp/1"}, "not a TCP multiaddr"),
        ({"listen": '/ip4/127.0.0.1/tcp/1"'}, "not a TCP multiaddr"),
        ({"http_port": 65_536}, "from 0 to 65535"),
        ({"http_port": -1}, "from 0 to 65535"),
    ],
)
def test_init_refuses_before_it_writes(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """A mistake in an option leaves no half-made identity."""
    with pytest.raises(UsageError, match=words):
        make(tmp_path / "new", **changes)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("failing", ["identity.key", "member.json", "qnode.toml"])
def test_init_can_be_repeated_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """What could not be written whole is not there, so that the next try is not refused for it."""
    real_fdopen = os.fdopen
    real_open = os.open
    opened: list[str] = []

    def watch_open(path: Any, *args: Any, **kwargs: Any) -> int:
        opened.append(Path(path).name)
        return real_open(path, *args, **kwargs)

    class Full:
        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self._descriptor)

        def write(self, text: str) -> int:
            os.write(self._descriptor, text[:5].encode())
            raise OSError(28, "No space left on device")

    def full(descriptor: int, *args: Any, **kwargs: Any) -> Any:
        if opened[-1] == failing:
            return Full(descriptor)
        return real_fdopen(descriptor, *args, **kwargs)

    monkeypatch.setattr(os, "open", watch_open)
    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(UsageError, match="No space left on device"):
        make(tmp_path)
    monkeypatch.undo()
    make(tmp_path)
    assert read_member_record(tmp_path / "member.json").name == "alice"
