"""What a configuration must not say together, and secrets in it that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from linkseal.cli import app
from linkseal.config import load
from linkseal.errors import ConfigError
from linkseal.vault import new_master_key


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "linkseal.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("base_domain = '-bad.-x'\n", "base_domain"),
        ("base_domain = 'ct.example-'\n", "base_domain"),
        ("base_domain = '10.0.0.1'\n", "base_domain"),
        (f"base_domain = '{'a' * 64}.example'\n", "base_domain"),
        (f"base_domain = '{'a.' * 120}example'\n", "base_domain"),
        ("[store]\nurl = 'postgres://x'\n", "store.url"),
        ("[store]\nurl = 'postgresql://u:p@h/d'\n", "store.url"),
        ("[store]\nurl = 'nonsense'\n", "store.url"),
        ("[edge]\nhttp = '[::]:443'\nhttps = '[::]:443'\n", "edge.https"),
        ("[smtp]\nlisten = '127.0.0.1:9464'\n", "smtp.listen"),
    ],
)
def test_what_could_not_serve_is_refused(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(write(tmp_path, text))
    assert (refusal.value.code, key in refusal.value.message) == ("config-invalid", True)
    assert key in refusal.value.hint
    assert "u:p@h" not in refusal.value.message


@pytest.mark.parametrize(
    ("listen", "hop", "refused"),
    [
        ("127.0.0.1:25", "127.0.0.1:25", True),
        ("127.0.0.1:25", "localhost:25", True),
        ("localhost:25", "[::1]:25", True),
        ("[::]:25", "127.0.0.1:25", True),
        ("0.0.0.0:25", "127.0.0.1:25", True),
        ("127.0.0.1:25", "0.0.0.0:25", True),
        ("0.0.0.0:25", "[::1]:25", False),
        ("127.0.0.1:25", "127.0.0.2:25", False),
        ("127.0.0.1:25", "127.0.0.1:26", False),
        ("0.0.0.0:25", "192.0.2.1:25", False),
        ("[::]:25", "mail.example.net:25", False),
    ],
)
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("listen = '{}'\n", "smtp.listen"),
        (
            "[[smtp.listeners]]\nlisten = '{}'\ncustomer = 'acme'\n",
            "smtp.listeners[0].listen",
        ),
    ],
)
def test_mail_is_not_passed_on_to_ourselves(
    tmp_path: Path, listen: str, hop: str, refused: bool, text: str, key: str
) -> None:
    file = write(tmp_path, f"[smtp]\nnext_hop = '{hop}'\n{text.format(listen)}")
    if not refused:
        assert str(load(file).config.smtp.next_hop) == hop
        return
    with pytest.raises(ConfigError, match=r"smtp\.next_hop") as refusal:
        load(file)
    assert key in refusal.value.message
    assert "your mail server" in refusal.value.hint
    file.write_text(f"[smtp]\nenabled = false\n{file.read_text().removeprefix('[smtp]')}")
    assert load(file).config.smtp.enabled is False


def test_free_ports_do_not_clash(tmp_path: Path) -> None:
    file = write(tmp_path, "[edge]\nhttp = '127.0.0.1:0'\nhttps = '127.0.0.1:0'\n")
    assert load(file).config.edge.https.port == 0


@pytest.mark.parametrize("key", ["abc", "c2VjcmV0"])
def test_the_check_refuses_what_is_no_master_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("LINKSEAL_MASTER_KEY", key)
    refusal = CliRunner().invoke(app, ["config", "check"]).exception
    assert isinstance(refusal, ConfigError)
    assert "master_key" in refusal.message
    assert "LINKSEAL_MASTER_KEY" in refusal.message
    assert key not in refusal.message
    assert refusal.hint
    monkeypatch.setenv("LINKSEAL_MASTER_KEY", new_master_key())
    assert CliRunner().invoke(app, ["config", "check"]).exit_code == 0
