"""The configuration: defaults, overrides, origins, and errors that name the key and the fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from linkseal.cli import app
from linkseal.cli.setup import config_text
from linkseal.config import Address, Config, ListenerConfig, describe_keys, load
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


def uncommented(text: str) -> str:
    """Return what init writes with every key and table in force that has something to say."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        is_key = bare.partition(" = ")[0].isidentifier() and not bare.endswith(' = ""')
        lines.append(bare if is_key or bare.startswith("[[") else line)
    return "\n".join(lines)


def test_the_file_that_init_writes_holds_the_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, uncommented(config_text("ct.localhost")))).config
    shown = ListenerConfig(listen=Address("127.0.0.1", 8026), customer="acme")
    assert config.smtp.listeners == (shown,)
    smtp = config.smtp.model_copy(update={"listeners": ()})
    assert config.model_copy(update={"smtp": smtp}) == Config(data_dir=config.data_dir)


def test_the_file_that_init_writes_shows_nested_sections_and_table_arrays() -> None:
    lines = config_text("ct.localhost").splitlines()
    assert lines.count("[acme]") == 1
    acme = lines[lines.index("[acme]") : lines.index("[journal]")]
    keys = [line for line in acme if " = " in line or line.startswith(("[", "# [["))]
    array, section = keys.index("# [[acme.issuers]]"), keys.index("[acme.dns]")
    assert keys[array + 1 : section] == [
        '# directory = "https://acme-v02.api.letsencrypt.org/directory"',
        '# ca_file = ""',
        '# eab_kid = ""',
        '# eab_hmac_key = ""',
        '# profile = ""',
    ]
    assert '# key_types = ["p256"]' in keys[:array]
    assert '# provider = "none"' in keys[section:]
    assert "# How DNS-01 challenges get into DNS." in acme


@pytest.mark.parametrize(
    "text", ["127.0.0.1:8443", "[::1]:443", "mail.example.net:25", "0.0.0.0:0"]
)
def test_an_address_reads_back(text: str) -> None:
    assert str(Address.parse(text)) == text


ISSUERS = """
[[acme.issuers]]
directory = "https://ca.example/directory"
ca_file = "ca/root.pem"
eab_kid = "kid-1"
eab_hmac_key = "aG1hYw"

[[acme.issuers]]
directory = "https://other.example/directory"

[acme.dns]
provider = "rfc2136"
server = "192.0.2.53:53"
key_name = "linkseal."
key_secret = "dHNpZw"

[[smtp.listeners]]
listen = "127.0.0.1:2526"
customer = "acme"
"""


def test_nested_keys_are_shown_with_origin_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, ISSUERS)
    monkeypatch.setenv("LINKSEAL_ACME__DNS__ZONE", "ct.example.net")
    monkeypatch.setenv("LINKSEAL_ACME__KEY_TYPES", '["p256", "rsa2048"]')
    shown = {key.name: (key.value, key.origin) for key in load(file).keys}
    assert shown["acme.dns.provider"] == ("rfc2136", str(file))
    assert shown["acme.dns.server"] == ("192.0.2.53:53", str(file))
    assert shown["acme.dns.zone"] == ("ct.example.net", "LINKSEAL_ACME__DNS__ZONE")
    assert shown["acme.dns.authority_port"] == ("53", "default")
    assert shown["acme.dns.key_secret"] == ("(set)", str(file))
    assert shown["acme.key_types"] == ("p256, rsa2048", "LINKSEAL_ACME__KEY_TYPES")
    root = tmp_path / "ca" / "root.pem"
    first = f"https://ca.example/directory (ca_file {root}, eab_kid kid-1, eab_hmac_key (set))"
    issuers = f"{first}, https://other.example/directory"
    assert shown["acme.issuers"] == (issuers, str(file))
    assert shown["smtp.listeners"] == ("127.0.0.1:2526 (customer acme)", str(file))


def test_the_commands_show_and_check_nested_keys(tmp_path: Path) -> None:
    file = write(tmp_path, ISSUERS)
    ran = CliRunner().invoke(app, ["--config", str(file), "config", "show", "--json"])
    rows = {row["name"]: row for row in json.loads(ran.stdout)}
    assert rows["acme.dns.provider"]["value"] == "rfc2136"
    assert rows["acme.dns.provider"]["origin"] == str(file)
    assert "aG1hYw" not in ran.stdout
    assert "dHNpZw" not in ran.stdout
    check = ["--config", str(file), "config", "check", "--json"]
    missing = str(CliRunner().invoke(app, check).exception)
    root = tmp_path / "ca" / "root.pem"
    assert f"acme.issuers[0].ca_file: {root}: No such file" in missing
    root.parent.mkdir()
    root.touch()
    assert json.loads(CliRunner().invoke(app, check).stdout) == {"valid": True, "file": str(file)}


def test_secrets_are_in_no_repr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKSEAL_MASTER_KEY", "bWFzdGVy")
    text = repr(load(write(tmp_path, ISSUERS + '[smtp]\nnext_hop_password = "hop"\n')).config)
    for secret in ("aG1hYw", "dHNpZw", "bWFzdGVy", "'hop'"):
        assert secret not in text
    assert "kid-1" in text


def test_paths_in_table_arrays_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    first, second = load(write(tmp_path / "etc", ISSUERS)).config.acme.issuers
    assert first.ca_file == tmp_path / "etc" / "ca" / "root.pem"
    assert second.ca_file is None


def test_the_environment_reaches_nested_sections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, ISSUERS)
    monkeypatch.setenv("LINKSEAL_ACME__DNS__PROVIDER", "exec")
    monkeypatch.setenv("LINKSEAL_ACME__DNS__COMMAND", '["/usr/bin/hook", "-v"]')
    monkeypatch.setenv("LINKSEAL_ACME__DNS__SERVER", "[2001:db8::53]:5353")
    monkeypatch.setenv("LINKSEAL_ACME__RESOLVERS", '["192.0.2.1:53"]')
    monkeypatch.setenv("LINKSEAL_ACME__ISSUERS", '[{"directory": "https://env.example/"}]')
    acme = load(file).config.acme
    assert acme.dns.provider == "exec"
    assert acme.dns.command == ("/usr/bin/hook", "-v")
    assert acme.dns.server == Address("2001:db8::53", 5353)
    assert acme.dns.key_name == "linkseal."
    assert acme.resolvers == (Address("192.0.2.1", 53),)
    assert [issuer.directory for issuer in acme.issuers] == ["https://env.example/"]


@pytest.mark.parametrize("first", ["LINKSEAL_ACME__DNS", "LINKSEAL_ACME__DNS__ZONE"])
def test_a_nested_key_in_the_environment_wins_over_its_whole_table(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    variables = {
        "LINKSEAL_ACME__DNS": '{"zone": "table.example", "authority_port": 5353}',
        "LINKSEAL_ACME__DNS__ZONE": "key.example",
    }
    for name in sorted(variables, key=lambda name: name != first):
        monkeypatch.setenv(name, variables[name])
    loaded = load()
    assert loaded.config.acme.dns.zone == "key.example"
    assert loaded.config.acme.dns.authority_port == 5353
    origins = {key.name: key.origin for key in loaded.keys}
    assert origins["acme.dns.zone"] == "LINKSEAL_ACME__DNS__ZONE"
    assert origins["acme.dns.authority_port"] == "LINKSEAL_ACME__DNS"
    assert origins["acme.dns.key_name"] == "default"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "[acme.dns]\nprovidr = 'exec'\n",
            "acme.dns.providr in FILE is not a config key",
            "did you mean acme.dns.provider? `linkseal config show` lists every key",
        ),
        (
            "[acme.dsn]\nprovider = 'exec'\n",
            "acme.dsn in FILE is not a config key",
            "did you mean acme.dns? `linkseal config show` lists every key",
        ),
        (
            "[acme]\ndirectory = 'https://ca.example'\n",
            "acme.directory in FILE is not a config key",
            "did you mean directory in [[acme.issuers]]? `linkseal config show` lists every key",
        ),
        (
            "[[acme.issuers]]\ndirectory = 'https://ca.example'\nkey_id = 'k'\n",
            "acme.issuers[0].key_id in FILE is not a config key",
            "[[acme.issuers]] takes directory, ca_file, eab_kid, eab_hmac_key, profile",
        ),
        (
            "[acme.dns]\nprovider = 'route53'\n",
            "acme.dns.provider in FILE: input should be 'none', 'rfc2136' or 'exec', got 'route53'",
            "correct acme.dns.provider in the file, or LINKSEAL_ACME__DNS__PROVIDER",
        ),
        (
            "[acme.dns]\nprovider = 'rfc2136'\nkey_secret = 'dHNpZw'\n",
            "acme.dns in FILE: rfc2136 needs server, key_name and key_secret",
            "correct [acme.dns] in the file, or LINKSEAL_ACME__DNS__…",
        ),
        (
            "[acme.dns]\nkey_secret = 53674\n",
            "acme.dns.key_secret in FILE: input should be a valid string, got a secret value",
            "correct acme.dns.key_secret in the file, or LINKSEAL_ACME__DNS__KEY_SECRET",
        ),
        (
            "[[acme.issuers]]\neab_hmac_key = 'aG1hYw'\n",
            "acme.issuers[0].directory in FILE is not set",
            "set acme.issuers[0].directory in the file, or LINKSEAL_ACME__ISSUERS (a JSON list)",
        ),
        (
            "[[acme.issuers]]\ndirectory = 'https://ca.example'\neab_hmac_key = 53674\n",
            (
                "acme.issuers[0].eab_hmac_key in FILE:"
                " input should be a valid string, got a secret value"
            ),
            "acme.issuers[0].eab_hmac_key in the file, or LINKSEAL_ACME__ISSUERS (a JSON list)",
        ),
        (
            "[acme.issuers]\ndirectory = 'https://ca.example'\neab_hmac_key = 'aG1hYw'\n",
            "acme.issuers in FILE is not a list",
            "write each as [[acme.issuers]] in the file, or LINKSEAL_ACME__ISSUERS as a JSON list",
        ),
        (
            "[acme]\nissuers = ['https://ca.example']\n",
            "acme.issuers[0] in FILE is not a table",
            "write each as [[acme.issuers]] in the file, or LINKSEAL_ACME__ISSUERS as a JSON list",
        ),
        (
            "[[acme.dns]]\nkey_secret = 'dHNpZw'\n",
            "acme.dns in FILE is not a table",
            "set [acme.dns] in the file, or LINKSEAL_ACME__DNS__…",
        ),
        (
            "[acme]\nkey_types = ['p384']\n",
            "acme.key_types[0] in FILE: input should be 'p256' or 'rsa2048', got 'p384'",
            "correct acme.key_types[0] in the file, or LINKSEAL_ACME__KEY_TYPES (a JSON list)",
        ),
        (
            "[acme.dns]\nserver = '192.0.2.53'\n",
            "acme.dns.server in FILE: expected host:port, as in 127.0.0.1:8443, got '192.0.2.53'",
            "correct acme.dns.server in the file, or LINKSEAL_ACME__DNS__SERVER",
        ),
    ],
)
def test_a_wrong_nested_key_is_told_with_its_fix_and_no_secret(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        load(file)
    assert refusal.value.message.replace(str(file), "FILE") == message
    assert hint in refusal.value.hint
    told = f"{refusal.value} {refusal.value.hint} {refusal.value.__cause__}"
    for secret in ("dHNpZw", "aG1hYw", "53674"):
        assert secret not in told


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("LINKSEAL_ACME__DNS__PROVIDER", "route53", "correct acme.dns.provider in the file"),
        ("LINKSEAL_ACME__DNS__PROVIDR", "exec", "did you mean LINKSEAL_ACME__DNS__PROVIDER?"),
        ("LINKSEAL_ACME_DNS_PROVIDER", "exec", "did you mean LINKSEAL_ACME__DNS__PROVIDER?"),
        ("LINKSEAL_ACME__ISSUERS__0__PROFILE", "x", "as a JSON list in LINKSEAL_ACME__ISSUERS"),
        ("LINKSEAL_ACME__ISSUERS", "https://ca.example", "written as JSON"),
        ("LINKSEAL_ACME__DNS", '{"zoen": "ct.example.net"}', "did you mean acme.dns.zone?"),
    ],
)
def test_a_wrong_nested_override_names_the_variable_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=rf"\b{name}\b") as refusal:
        load()
    assert hint in refusal.value.hint


def test_the_reference_lists_nested_keys_with_their_defaults() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "config.md").read_text()
    assert "| `acme.dns.provider` | `none` |" in page
    assert "| `acme.issuers` | `https://acme-v02.api.letsencrypt.org/directory` |" in page
    assert "| `acme.issuers[].directory` | required |" in page
    assert "| `acme.key_types` | `p256` |" in page
    assert "| `smtp.listeners[].customer` | required |" in page
