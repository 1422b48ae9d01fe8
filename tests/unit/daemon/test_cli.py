"""The command line: what each command makes, and one sentence for each thing that can be wrong."""

import http.server
import json
import logging
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon import cli
from daemon.genesis import Genesis, read_genesis
from daemon.identity import read_member_record
from daemon.queries import Query
from pbft.policy import Policy
from tests.support.commands import environment, failed, qnode
from tests.support.founding import certificate_text, founded, member_text, write_genesis
from tests.support.serving import StubQueries, serving
from tests.support.typed import ASK_SCHEMA, label_field, number_field


@contextmanager
def own_logging() -> Iterator[None]:
    """`qnode run` sets up logging for a whole process, and this process is the test's."""
    root, ours = logging.getLogger(), logging.getLogger("qnode")
    before = root.handlers, root.level, ours.handlers, ours.level
    try:
        yield
    finally:
        for handler in {*root.handlers, *ours.handlers} - {*before[0], *before[2]}:
            handler.close()
        root.handlers, ours.handlers = before[0], before[2]
        root.setLevel(before[1])
        ours.setLevel(before[3])
        logging.captureWarnings(capture=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """A command inside this process: exit code, standard output, standard error."""
    with own_logging():
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(str(ended.code))
    output = capsys.readouterr()
    return code, output.out, output.err


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 2) -> str:
    """The one line with which the command must fail."""
    got, _, error = run(capsys, *arguments)
    assert got == code, error
    line = error.strip()  # the progress display leaves an empty line where it was
    assert line.startswith("qnode: ")
    assert "\n" not in line
    assert line.endswith(".")
    return line


Capture = pytest.CaptureFixture[str]


# --- without a command -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["init"],
        ["init", "--name", "a", "--http-port", "many"],
        ["init", "--name", "a", "--unknown"],
        ["genesis", "--network", "x"],
        ["genesis", "member.json"],
        ["ask"],
        ["ask", "q", "--mode", "anarchy"],
        ["ask", "q", "--language", "de"],
        ["ask", "q", "--max-tokens", "x"],
        ["verify", "c.json"],
        ["demo", "--fault", "greed"],
        ["demo", "--nodes", "x"],
    ],
)
def test_a_command_line_that_cannot_be(capsys: Capture, arguments: list[str]) -> None:
    """Exit code 2, usage, and no traceback."""
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert error.startswith("usage: qnode")
    assert "error: " in error.splitlines()[-1]
    assert "Traceback" not in error


def test_help_is_quick_and_names_every_command(capsys: Capture) -> None:
    """No model library is loaded to print a page of help."""
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("init", "genesis", "run", "ask", "status", "verify", "demo"):
        assert f"    {command} " in out


# --- init and genesis --------------------------------------------------------------------------


def test_from_nothing_to_a_network(capsys: Capture, tmp_path: Path) -> None:
    """Four members make their identities, one combines the records: the file is a network."""
    for name in ("carol", "alice", "dave", "bob"):
        code, out, _ = run(capsys, "init", tmp_path / name, "--name", name)
        assert code == 0
        assert "identity.key" in out
        assert stat.S_IMODE((tmp_path / name / "identity.key").stat().st_mode) == 0o600
    records = [tmp_path / name / "member.json" for name in ("dave", "carol", "bob", "alice")]
    path = tmp_path / "genesis.json"
    code, out, _ = run(capsys, "genesis", *records, "--network", "friends", "--out", path)
    assert code == 0
    assert "4 members, 3 must agree; tolerates 1 liars and 1 silent nodes" in out
    genesis = read_genesis(path)
    assert [member.name for member in genesis.members] == ["alice", "bob", "carol", "dave"]
    assert genesis.network.hex()[:16] in out


def test_init_refuses_a_folder_with_an_identity(capsys: Capture, tmp_path: Path) -> None:
    """The second time is an error, and the first key stays."""
    run(capsys, "init", tmp_path, "--name", "a")
    key = (tmp_path / "identity.key").read_bytes()
    assert "exists already" in sentence(capsys, "init", tmp_path, "--name", "a")
    assert (tmp_path / "identity.key").read_bytes() == key


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "a b"], "does not fit"),
        (["--name", "a", "--address", "x"], "not a TCP multiaddr"),
        (["--name", "a", "--listen", "x"], "not a TCP multiaddr"),
        (["--name", "a", "--http-port", "70000"], "from 0 to 65535"),
    ],
)
def test_init_with_wrong_options(
    capsys: Capture, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """One sentence and no folder."""
    assert words in sentence(capsys, "init", tmp_path / "new", *arguments)
    assert not (tmp_path / "new").exists()


def test_init_in_a_place_that_is_no_folder(capsys: Capture, tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").write_text("")
    sentence(capsys, "init", tmp_path / "file", "--name", "a")
    sentence(capsys, "init", tmp_path / "file" / "deeper", "--name", "a")


def records(folder: Path, *numbers: int) -> list[Path]:
    paths = []
    for place, number in enumerate(numbers):
        path = folder / f"member-{place}.json"
        path.write_text(member_text(number, name=f"member-{place}"))
        paths.append(path)
    return paths


def test_genesis_refuses_what_could_not_work(capsys: Capture, tmp_path: Path) -> None:
    """Duplicates, absent files, foreign files, bad names and policies; nothing is written."""
    out = tmp_path / "out.json"
    one, two, same = records(tmp_path, 1, 2, 1)
    rest = ["--network", "x", "--out", out]
    assert "are called" in sentence(capsys, "genesis", one, one, *rest)
    assert "have the same key" in sentence(capsys, "genesis", one, two, same, *rest)
    assert "There is no member record" in sentence(capsys, "genesis", tmp_path / "no", *rest)
    assert "Is a directory" in sentence(capsys, "genesis", tmp_path, *rest)
    assert "does not fit" in sentence(capsys, "genesis", one, "--network", "x y", "--out", out)
    policy = tmp_path / "policy.json"
    for text, words in (
        ("", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"quorum": 1}', "policy.quorum is unknown"),
        ('{"tokens_max": 0}', "policy.tokens_max is 0"),
        ('{"tokens_max": 1, "tokens_max": 2}', "repeated"),
    ):
        policy.write_text(text)
        assert words in sentence(capsys, "genesis", one, *rest, "--policy", policy)
    assert "There is no policy" in sentence(capsys, "genesis", one, *rest, "--policy", out)
    assert not out.exists()


def test_genesis_does_not_overwrite(capsys: Capture, tmp_path: Path) -> None:
    """The file that a network runs on stays."""
    (one,) = records(tmp_path, 1)
    out = tmp_path / "out.json"
    assert run(capsys, "genesis", one, "--network", "x", "--out", out)[0] == 0
    before = out.read_bytes()
    assert "exists already" in sentence(capsys, "genesis", one, "--network", "y", "--out", out)
    assert out.read_bytes() == before


def test_genesis_takes_a_policy(capsys: Capture, tmp_path: Path) -> None:
    """The fields that are given change, the others keep their defaults."""
    (one,) = records(tmp_path, 1)
    policy, out = tmp_path / "policy.json", tmp_path / "out.json"
    policy.write_text('{"tokens_max": 99}')
    run(capsys, "genesis", one, "--network", "x", "--out", out, "--policy", policy)
    assert read_genesis(out).policy == Policy(tokens_max=99)


def test_a_record_may_come_from_anywhere(capsys: Capture, tmp_path: Path) -> None:
    """What `init` wrote is what `genesis` reads."""
    run(capsys, "init", tmp_path, "--name", "a", "--address", "/ip6/::1/tcp/4001")
    assert read_member_record(tmp_path / "member.json").addresses == ("/ip6/::1/tcp/4001",)


# --- verify ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return founded(4)


@pytest.fixture(scope="module")
def certificate(genesis: Genesis) -> str:
    return certificate_text(genesis, ["Paris", "Paris it is", "Rome", None])


def files(folder: Path, genesis: Genesis, text: str) -> tuple[Path, Path]:
    path = folder / "certificate.json"
    path.write_text(text, encoding="utf-8")
    return path, write_genesis(folder, genesis)


def test_a_right_certificate(
    capsys: Capture, tmp_path: Path, genesis: Genesis, certificate: str
) -> None:
    """Exit code 0; for programs as JSON with everything in it."""
    path, genesis_path = files(tmp_path, genesis, certificate)
    code, out, _ = run(capsys, "verify", path, "--genesis", genesis_path, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["valid"] is True
    assert document["status"].startswith("agreed")
    assert len(document["signatures"]) >= 3
    assert run(capsys, "verify", path, "--genesis", genesis_path)[0] == 0


def test_a_wrong_certificate(
    capsys: Capture, tmp_path: Path, genesis: Genesis, certificate: str
) -> None:
    """Exit code 1 with the reason, in words or as JSON."""
    path, genesis_path = files(tmp_path, genesis, certificate.replace("Rome", "Roma"))
    code, out, error = run(capsys, "verify", path, "--genesis", genesis_path)
    assert (code, error) == (1, "")
    assert out.startswith("INVALID: ")
    assert "digest is not the certified one" in out
    code, out, _ = run(capsys, "verify", path, "--genesis", genesis_path, "--json")
    assert code == 1
    assert json.loads(out)["valid"] is False


def test_verify_without_its_files(
    capsys: Capture, tmp_path: Path, genesis: Genesis, certificate: str
) -> None:
    """What is missing or is something else is the user's to mend: exit code 2."""
    path, genesis_path = files(tmp_path, genesis, certificate)
    rest = ["--genesis", genesis_path]
    assert "cannot be read" in sentence(capsys, "verify", tmp_path / "no.json", *rest)
    assert "cannot be read" in sentence(capsys, "verify", tmp_path, *rest)
    assert "There is no genesis" in sentence(capsys, "verify", path, "--genesis", tmp_path / "no")
    assert "is not a genesis" in sentence(capsys, "verify", path, "--genesis", path)


# --- asking ------------------------------------------------------------------------------------


@contextmanager
def stranger(body: bytes, status: int = 200) -> Iterator[str]:
    """A web server that is no node."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the base class names them

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("command", [["ask", "q"], ["ask", "q", "--mode", "single"], ["status"]])
@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"\xff\xfe\x00", b"[]", b"", b"[" * 100_000]
)
def test_a_server_that_is_no_node(capsys: Capture, command: list[str], body: bytes) -> None:
    """Something else listens at the address: one sentence, exit code 3."""
    with stranger(body) as url:
        words = sentence(capsys, *command, "--node", url, code=3)
    assert url in words


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": 5}', b"[]", b"\xff"])
def test_an_error_of_a_server_that_is_no_node(capsys: Capture, body: bytes) -> None:
    """Its status is at least given."""
    with stranger(body, 503) as url:
        code, _, error = run(capsys, "status", "--node", url)
    assert code in (1, 2, 3)
    assert error.startswith("qnode: ")
    assert "503" in error


def test_a_refusal_of_the_node_is_its_sentence(capsys: Capture) -> None:
    """What is wrong with the question is the user's to mend: exit code 2."""
    body = json.dumps({"error": {"code": "bad_request", "message": "The question is empty."}})
    with stranger(body.encode(), 400) as url:
        assert "The question is empty." in sentence(capsys, "ask", "", "--node", url)


def test_no_node_answers(capsys: Capture, tmp_path: Path) -> None:
    """Exit code 3 tells scripts that nobody was there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    for command in (["ask", "q"], ["status"], ["ask", "q", "--mode", "single"]):
        words = sentence(capsys, *command, "--node", url, code=3)
        assert f"No node answers at {url}" in words


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://x", "", "http://", "http://[", "http://a:b", "http://..", "http://é..",
            "http://127.0.0.1:99999", "http://a b/"],
)  # fmt: skip
def test_an_address_that_is_none(capsys: Capture, tmp_path: Path, url: str) -> None:
    """Whatever the URL library raises, one sentence."""
    config = tmp_path / "absent.toml"
    code, _, error = run(capsys, "status", "--node", url, "--config", config)
    assert code in (2, 3)
    assert error.startswith("qnode: ")
    assert error.count("\n") == 1


def test_a_node_that_was_never_started(capsys: Capture, tmp_path: Path) -> None:
    """Its folder is there and its address is not."""
    run(capsys, "init", tmp_path, "--name", "a")
    config = tmp_path / "qnode.toml"
    assert "has not been started" in sentence(capsys, "status", "--config", config, code=3)


def test_a_broken_configuration_stops_asking(capsys: Capture, tmp_path: Path) -> None:
    """It is named rather than passed over."""
    (tmp_path / "qnode.toml").write_text("name = 5")
    words = sentence(capsys, "status", "--config", tmp_path / "qnode.toml")
    assert "name must be text" in words


@pytest.mark.parametrize("timeout", ["0", "-1", "nan"])
def test_a_timeout_that_makes_no_sense_is_not_ignored(capsys: Capture, timeout: str) -> None:
    """The node is told what the user said, so that it can refuse."""
    seen: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"error": {"code": "bad_request", "message": "No."}}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        server.timeout = 5
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        run(capsys, "ask", "q", "--timeout", timeout, "--node", url)
        thread.join()
    assert not seen or b'"timeout_s"' in seen[0]


# --- run: what is found before anything is loaded ------------------------------------------------


def node_folder(capsys: Capture, folder: Path) -> Path:
    """One member's folder with a network of that member alone."""
    run(capsys, "init", folder, "--name", "a", "--listen", "/ip4/127.0.0.1/tcp/0",
        "--http-port", "0")  # fmt: skip
    run(capsys, "genesis", folder / "member.json", "--network", "x", "--out",
        folder / "genesis.json")  # fmt: skip
    return folder / "qnode.toml"


def test_run_without_its_files(capsys: Capture, tmp_path: Path) -> None:
    """Configuration, genesis and key: each absent one is named."""
    config = node_folder(capsys, tmp_path)
    absent = tmp_path / "absent.toml"
    assert "There is no configuration" in sentence(capsys, "run", "--config", absent)
    for name, words in (
        ("genesis.json", "There is no genesis"),
        ("identity.key", "There is no key"),
    ):
        (tmp_path / name).rename(tmp_path / "aside")
        assert words in sentence(capsys, "run", "--config", config)
        (tmp_path / "aside").rename(tmp_path / name)


def test_run_with_a_key_of_nobody(capsys: Capture, tmp_path: Path) -> None:
    """A key that is not in the genesis file."""
    config = node_folder(capsys, tmp_path / "a")
    run(capsys, "init", tmp_path / "b", "--name", "b")
    shutil.copy(tmp_path / "b" / "identity.key", tmp_path / "a" / "identity.key")
    assert "is not one of the 1 members" in sentence(capsys, "run", "--config", config)


def test_run_with_a_key_that_others_can_read(capsys: Capture, tmp_path: Path) -> None:
    """It is not used, and the command that mends it is there."""
    config = node_folder(capsys, tmp_path)
    (tmp_path / "identity.key").chmod(0o644)
    code, _, error = run(capsys, "run", "--config", config)
    assert code == 2
    assert error.startswith("qnode: ")
    assert f"chmod 600 {tmp_path / 'identity.key'}" in error


def test_run_with_a_data_folder_that_cannot_be(capsys: Capture, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    config = node_folder(capsys, tmp_path)
    (tmp_path / "data").write_text("")
    assert "data" in sentence(capsys, "run", "--config", config)


@pytest.mark.parametrize("file", ["consensus.log", "ledger.sqlite", "lock", "qnode.log"])
def test_run_with_a_file_it_cannot_use(capsys: Capture, tmp_path: Path, file: str) -> None:
    """A folder in the place of each file of the data folder."""
    config = node_folder(capsys, tmp_path)
    (tmp_path / "data" / file).mkdir(parents=True)
    assert str(tmp_path / "data") in sentence(capsys, "run", "--config", config)


def test_run_with_a_damaged_log(capsys: Capture, tmp_path: Path) -> None:
    """The node does not start on a log that is not its own."""
    config = node_folder(capsys, tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "consensus.log").write_bytes(b"x" * 100)
    assert "is no log of qnode" in sentence(capsys, "run", "--config", config)


@pytest.mark.parametrize("listen", ["nonsense", "/ip4/192.0.2.1/tcp/1", "/dns4/a/tcp/1"])
def test_run_where_it_cannot_listen(capsys: Capture, tmp_path: Path, listen: str) -> None:
    """The address is in the sentence."""
    config = node_folder(capsys, tmp_path)
    config.write_text(config.read_text().replace("/ip4/127.0.0.1/tcp/0", listen))
    assert listen in sentence(capsys, "run", "--config", config)


def test_run_on_ports_in_use(capsys: Capture, tmp_path: Path) -> None:
    """The HTTP port and the port for members, each by its number."""
    config = node_folder(capsys, tmp_path)
    text = config.read_text()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config.write_text(text.replace("port = 0", f"port = {port}"))
        assert str(port) in sentence(capsys, "run", "--config", config)
        config.write_text(text.replace("/tcp/0", f"/tcp/{port}"))
        assert str(port) in sentence(capsys, "run", "--config", config)


def test_demo_refuses_what_it_cannot_do(capsys: Capture, tmp_path: Path) -> None:
    """Wrong numbers of nodes, and folders that are somebody's."""
    folder = ["--folder", tmp_path / "demo"]
    assert "from 1 to 16" in sentence(capsys, "demo", "--nodes", "0", *folder)
    assert "from 1 to 16" in sentence(capsys, "demo", "--nodes", "17", *folder)
    assert "--nodes 4" in sentence(capsys, "demo", "--nodes", "3", "--fault", "lie", *folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("my life's work")
    words = sentence(capsys, "demo", "--folder", tmp_path / "mine")
    assert "was not made by `qnode demo`" in words
    assert (tmp_path / "mine" / "thesis.txt").exists()


# --- in a process of its own -------------------------------------------------------------------


def test_the_exit_code_reaches_the_shell(tmp_path: Path) -> None:
    """What `main` returns is the process's code, and only the sentence is on standard error."""
    done = qnode("run", "--config", tmp_path / "absent.toml")
    assert "There is no configuration" in failed(done)
    assert done.stdout == ""


def test_files_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    """A machine set to plain ASCII writes the same genesis file and certificate as every other."""
    script = (
        "import sys, pathlib; from daemon.files import write_new, write_whole;"
        "folder = pathlib.Path(sys.argv[1]);"
        "write_new(folder / 'new', '\\u6a21'); write_whole(folder / 'whole', '\\u6a21')"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment(**ascii_only),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    for name in ("new", "whole"):
        assert (tmp_path / name).read_text(encoding="utf-8") == "模"


@pytest.mark.parametrize("embedder", ["", "a\nb", "\udcff", "x" * 300])
def test_genesis_with_an_embedder_that_is_no_name(
    capsys: Capture, tmp_path: Path, embedder: str
) -> None:
    """What is written can be read back: bytes that are no text, lines and endless names are not
    taken."""
    (one,) = records(tmp_path, 1)
    out = tmp_path / "out.json"
    rest = ["--network", "x", "--out", out]
    code, _, error = run(capsys, "genesis", one, *rest, "--embedder", embedder)
    if code == 0:
        assert read_genesis(out).embedder
    else:
        assert (code, error.count("\n")) == (2, 1)
        assert not out.exists()


@pytest.mark.parametrize("language", ["C", "zh_TW.UTF-8"])
def test_a_terminal_without_chinese_still_shows_the_decision(
    tmp_path: Path, genesis: Genesis, language: str
) -> None:
    """Characters that the terminal cannot show are replaced; the command does not fail."""
    text = certificate_text(genesis, ["Paris 巴黎"] * 4)
    path, genesis_path = files(tmp_path, genesis, text)
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = qnode("verify", path, "--genesis", genesis_path, QNODE_LANGUAGE=language, **ascii_only)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert "Paris" in done.stdout


# --- kinds of answers --------------------------------------------------------------------------


def asked_by(capsys: Capture, *arguments: str | Path) -> Query:
    """What the node gets when a user asks with these options."""
    queries = StubQueries()
    with serving(queries) as url:
        code, _, error = run(capsys, "ask", "Which way?", "--node", url, "--json", *arguments)
    assert code == 0, error
    (query,) = queries.asked
    return query


def test_asking_for_a_label(capsys: Capture) -> None:
    """Labels are separated by commas; spaces around them do not count."""
    query = asked_by(capsys, "--labels", "up, down,持平")
    assert query.fields == (label_field(labels=("up", "down", "持平")),)


def test_asking_for_a_number(capsys: Capture) -> None:
    """With its unit, or a bare one."""
    assert asked_by(capsys, "--number", "--unit", "USD").fields == (number_field(),)
    assert asked_by(capsys, "--number").fields == (number_field(unit=""),)


def test_asking_for_several_values(capsys: Capture, tmp_path: Path) -> None:
    """They stand in a file, in the form that HTTP takes."""
    fields = [
        {"name": "direction", "kind": "label", "labels": ["up", "down", "flat"]},
        {"name": "price", "kind": "number", "unit": "USD"},
        {"name": "city", "kind": "text"},
    ]
    path = tmp_path / "fields.json"
    path.write_text(json.dumps({"fields": fields}), encoding="utf-8")
    query = asked_by(capsys, "--fields", path)
    assert {"kind": query.kind, "fields": query.fields} == ASK_SCHEMA


def test_a_form_that_makes_no_sense(capsys: Capture, tmp_path: Path) -> None:
    """A unit without a number, a file that is none, and two forms at once are refused here."""
    assert "--number" in sentence(capsys, "ask", "?", "--unit", "USD")
    path = tmp_path / "fields.json"
    path.write_text("[]", encoding="utf-8")
    assert "not a JSON object" in sentence(capsys, "ask", "?", "--fields", path)
    code, _, error = run(capsys, "ask", "?", "--number", "--labels", "a,b")
    assert (code, "not allowed with" in error) == (2, True)


def test_wrong_fields_are_named_by_the_node(capsys: Capture, tmp_path: Path) -> None:
    """The sentence of the node reaches the user."""
    path = tmp_path / "fields.json"
    path.write_text('{"fields": [{"name": "a"}]}', encoding="utf-8")
    with serving(StubQueries()) as url:
        words = sentence(capsys, "ask", "?", "--node", url, "--fields", path)
    assert '"fields[0].kind" must be label, number or text.' in words


@pytest.mark.parametrize("command", [["judge"], ["evaluate"], ["bench", "attack"]])
def test_a_wrong_pairs_file_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    """Before any model is loaded, and with the line."""
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"id": 1}\n')
    assert "line 1" in sentence(capsys, *command, file)
    assert "cannot be read" in sentence(capsys, *command, tmp_path / "none")


def _pairs(folder: Path, *rows: dict[str, object]) -> Path:
    """A pairs file of these rows, each with a question and two answers."""
    file = folder / "pairs.jsonl"
    plain = {"question": "Capital?", "a": "Paris.", "b": "It is Paris."}
    file.write_text("\n".join(json.dumps(plain | row) for row in rows))
    return file


def test_without_labels_there_is_nothing_to_measure(capsys: Capture, tmp_path: Path) -> None:
    """Said before a model is loaded, not by a table of zeros."""
    assert "None of the pairs is labelled" in sentence(capsys, "evaluate", _pairs(tmp_path, {}))
    opposed = _pairs(tmp_path, {"same": False}, {"same": True, "question": ""})
    assert "no honest answer to attack" in sentence(capsys, "bench", "attack", opposed)


def test_curves_that_cannot_be_written_are_refused_at_once(capsys: Capture, tmp_path: Path) -> None:
    """Before minutes of work."""
    pairs = _pairs(tmp_path, {"same": True})
    for path in (tmp_path, tmp_path / "none" / "roc.svg", pairs / "roc.svg"):
        words = sentence(capsys, "evaluate", pairs, "--roc", path, "--embedder", "none")
        assert f"{path} cannot be written" in words


def test_an_empty_model_name_is_none(capsys: Capture, tmp_path: Path) -> None:
    """An empty variable of a shell must not switch a model off unseen."""
    pairs = _pairs(tmp_path, {"same": True})
    for option in ("--entailment", "--embedder"):
        assert "not a model name" in sentence(capsys, "judge", pairs, option, "")


@pytest.mark.model
def test_rates_are_printed_as_json(capsys: Capture, tmp_path: Path) -> None:
    """With the curves written beside; unlabelled pairs count for neither."""
    pairs, roc = _pairs(tmp_path, {"same": True}, {}), tmp_path / "roc.svg"
    code, output, _ = run(capsys, "evaluate", pairs, "--json", "--roc", roc)
    assert code == 0
    found = json.loads(output)
    assert (found["pairs"], found["labelled"]) == (2, 1)
    assert [(rate["relation"], rate["pairs"]) for rate in found["accepted"]] == [("same", 1)]
    assert found["accepted"][0]["qnode_percent"] == 100.0
    assert "qnode: 100% right, 0% wrong" in roc.read_text(encoding="utf-8")


@pytest.mark.model
def test_pairs_are_judged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One JSON line for each pair, and the rates."""
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"id": "x", "question": "Capital?", "a": "Paris.", "b": "It is Paris.", "same": True},
        {"id": "y", "question": "Capital?", "a": "Paris.", "b": "It is Lyon.", "same": False},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    code, output, _ = run(capsys, "judge", file, "--json")
    first, second, last = map(json.loads, output.splitlines())
    assert code == 0
    assert (first["id"], first["same"], first["reasons"]) == ("x", True, [])
    assert (second["id"], second["same"]) == ("y", False)
    assert second["reasons"] == ["entity: paris / lyon"]
    assert last["summary"]["accepted_by_relation"]["same"]["percent"] == 100.0
