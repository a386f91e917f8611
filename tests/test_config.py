"""The configuration: defaults, overrides, origins, and errors that name the key and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkseal.cli.setup import config_text
from linkseal.config import Address, Config, describe_keys, load
from linkseal.errors import ConfigError


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "linkseal.toml"
    file.write_text(text)
    return file


def test_without_a_file_all_listens_on_loopback_under_ct_localhost() -> None:
    config = load().config
    assert config.shared_base == "https://go.ct.localhost:8443"
    for address in (config.edge.http, config.edge.https, config.edge.ops, config.smtp.listen):
        assert address.is_loopback


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(
        tmp_path, 'base_domain = "ct.example.net"\n[edge]\nworkers = 3\nmax_headers = 50\n'
    )
    monkeypatch.setenv("LINKSEAL_EDGE__WORKERS", "4")
    monkeypatch.setenv("LINKSEAL_EDGE__HTTPS", "[::1]:443")
    loaded = load(file)
    assert loaded.config.edge.workers == 4
    assert loaded.config.edge.max_headers == 50
    assert loaded.config.shared_base == "https://go.ct.example.net"
    origins = {key.name: key.origin for key in loaded.keys}
    assert origins["edge.workers"] == "LINKSEAL_EDGE__WORKERS"
    assert origins["edge.max_headers"] == str(file)
    assert origins["edge.http"] == "default"


def test_the_data_directory_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = write(tmp_path / "etc", 'data_dir = "data"\n')
    assert load(file).config.data_dir == tmp_path / "etc" / "data"


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKSEAL_MASTER_KEY", "c2VjcmV0")
    shown = {key.name: key.value for key in load().keys}
    assert shown["master_key"] == "(set)"
    assert shown["smtp.next_hop_password"] == ""


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        ("[edge]\nworkerz = 1\n", "config-unknown-key", "edge.workerz"),
        ("nonsense = 1\n", "config-unknown-key", "nonsense"),
        ("[edge]\nworkers = 0\n", "config-invalid", "edge.workers"),
        ("[edge]\nhttp = '127.0.0.1'\n", "config-invalid", "host:port"),
        ("[edge]\nhttp = '::1:80'\n", "config-invalid", "brackets"),
        ("[edge]\nhttp = '127.0.0.1:70000'\n", "config-invalid", "edge.http"),
        ("base_domain = 'Ct.Example'\n", "config-invalid", "base_domain"),
        ("[tls]\ncertificate = 'a.pem'\n", "config-invalid", "tls.key"),
        ("[smtp]\nnext_hop_tls = 'ssl'\n", "config-invalid", "smtp.next_hop_tls"),
        ("[edge\n", "config-syntax", "line 1"),
    ],
)
def test_a_wrong_file_names_the_key_and_the_fix(
    tmp_path: Path, text: str, code: str, names: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(write(tmp_path, text))
    assert refusal.value.code == code
    assert names in str(refusal.value)
    assert refusal.value.hint


def test_a_wrong_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKSEAL_EDGE__WORKERZ", "1")
    with pytest.raises(ConfigError, match="LINKSEAL_EDGE__WORKERZ"):
        load()
    monkeypatch.delenv("LINKSEAL_EDGE__WORKERZ")
    monkeypatch.setenv("LINKSEAL_SMTP__LISTENERS", "not json")
    with pytest.raises(ConfigError):
        load()
    monkeypatch.setenv(
        "LINKSEAL_SMTP__LISTENERS", '[{"listen": "127.0.0.1:26", "customer": "acme"}]'
    )
    assert load().config.smtp.listeners[0].listen == Address("127.0.0.1", 26)


def test_a_wrong_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = write(tmp_path, "[smtp]\nnext_hop_password = 12345\n")
    with pytest.raises(ConfigError) as refusal:
        load(file)
    assert "12345" not in str(refusal.value)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path / "missing.toml")
    assert refusal.value.code == "config-missing"
    with pytest.raises(ConfigError):
        load(environment={"LINKSEAL_CONFIG": str(tmp_path / "missing.toml")})


def test_every_key_is_documented_and_in_the_file_that_init_writes(tmp_path: Path) -> None:
    text = config_text("ct.example.net")
    for name, field, _ in describe_keys():
        assert field.description, name
        assert name.rpartition(".")[2] in text
    assert load(write(tmp_path, text)).config.base_domain == "ct.example.net"


def test_the_file_that_init_writes_holds_the_defaults(tmp_path: Path) -> None:
    lines = []
    for line in config_text("ct.localhost").splitlines():
        bare = line.removeprefix("# ")
        key = bare.partition(" = ")[0]
        is_key = line.startswith("# ") and key.isidentifier() and not bare.endswith(' = ""')
        in_list = key in {"listen", "customer"} and "802" in bare + "8026"
        lines.append(bare if is_key and not (in_list and key == "customer") else line)
    text = "\n".join(line for line in lines if '"127.0.0.1:8026"' not in line)
    config = load(write(tmp_path, text)).config
    default = Config(data_dir=config.data_dir)
    assert config == default


@pytest.mark.parametrize(
    "text", ["127.0.0.1:8443", "[::1]:443", "mail.example.net:25", "0.0.0.0:0"]
)
def test_an_address_reads_back(text: str) -> None:
    assert str(Address.parse(text)) == text
