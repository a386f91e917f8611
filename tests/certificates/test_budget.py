"""CAs that want to be left in peace: who is told so, and that everybody is told anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal.certificates.advice import understand
from linkseal.certificates.authority import OrderError
from linkseal.certificates.budget import Budget
from linkseal.store import Store

CA = "https://ca.example/directory"
NAME = "links.acme.example"


@pytest.fixture
def budget(tmp_path: Path) -> Iterator[Budget]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as store:
        yield Budget(store)


def limited(kind: str = "rateLimited", *, hours: int = 1) -> OrderError:
    return OrderError(
        understand(kind, "come back later", CA), datetime.now(UTC) + timedelta(hours=hours)
    )


def test_a_limit_keeps_the_names_of_one_domain_off_and_a_fault_all(budget: Budget) -> None:
    budget.keep_off(CA, NAME, limited())
    assert budget.kept_off(CA, "shop.acme.example") is not None
    assert budget.kept_off(CA, "links.other.example") is None
    budget.keep_off(CA, NAME, limited("serverInternal"))
    assert budget.kept_off(CA, "links.other.example") is not None
    assert budget.kept_off("https://other.example/directory", NAME) is None


def test_nobody_is_kept_off_for_longer_than_the_ca_asks(budget: Budget) -> None:
    budget.keep_off(CA, NAME, limited(hours=0))
    assert budget.kept_off(CA, NAME) is None


def test_each_is_told_by_an_error_of_their_own(budget: Budget) -> None:
    """Raising writes a traceback into an error, and threads would write into the same."""
    first = limited()
    budget.keep_off(CA, NAME, first)
    told = [budget.kept_off(CA, NAME) for _ in range(2)]
    assert told[0] is not told[1]
    for each in told:
        assert each is not None
        assert each is not first
        assert (each.message, each.problem, each.retry_after) == (
            first.message, first.problem, first.retry_after,
        )  # fmt: skip
