"""Certificate authorities to order from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from linkseal.testing.acme_directory import AcmeDirectory
from support.acme import Authority


@pytest.fixture
def ca() -> Iterator[AcmeDirectory]:
    with AcmeDirectory() as directory:
        yield directory


@pytest.fixture(params=["ours"])
def authority(request: pytest.FixtureRequest) -> Authority:
    ours: AcmeDirectory = request.getfixturevalue("ca")
    return Authority(ours.url, True, lambda: ours.root_pem, validates=False)
