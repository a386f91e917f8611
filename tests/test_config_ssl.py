"""Whether links may be plain http, as the operator configures it."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkseal.config import load
from linkseal.errors import ConfigError


def test_ssl_can_be_required_of_all_by_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "linkseal.toml"
    file.write_text("")
    assert load(file).config.ssl == "allowed"
    file.write_text('ssl = "required"\n')
    assert load(file).config.ssl == "required"
    monkeypatch.setenv("LINKSEAL_SSL", "allowed")
    assert load(file).config.ssl == "allowed"
    monkeypatch.setenv("LINKSEAL_SSL", "preferred")
    with pytest.raises(ConfigError, match=r"ssl") as refusal:
        load(file)
    assert "LINKSEAL_SSL" in f"{refusal.value} {refusal.value.hint}"
