"""What CAs allow us, and whom we leave in peace for a while."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from publicsuffixlist import PublicSuffixList

from linkseal.certificates.advice import Whose
from linkseal.certificates.authority import OrderError
from linkseal.certificates.schedule import (
    LIMITS,
    LONGEST_SPAN,
    Counted,
    Spending,
    Spent,
    Wait,
    must_wait,
)
from linkseal.store import Store

_SPENDING: Final = {
    "ordered": Spending.ORDER,
    "issued": Spending.CERTIFICATE,
    "failed": Spending.FAILURE,
    "refused": Spending.FAILURE,
}
"""What entries of the history count as."""
_EVEN_RENEWALS: Final = tuple(limit for limit in LIMITS if limit.counted is Counted.NAME)


class Budget:
    """Keeps count; for several threads.

    Args:
        store: Its history is what was spent.
    """

    def __init__(self, store: Store) -> None:
        self._history = store.certificates
        self._suffixes = PublicSuffixList()
        self._later: dict[tuple[str, str], OrderError] = {}

    def domain(self, name: str) -> str:
        """Return the registered domain that CAs count by."""
        return str(self._suffixes.privatesuffix(name.removeprefix("*.")) or name)

    def spent(self) -> dict[str, list[Spent]]:
        """Return what counts against each CA's limits, out of the history."""
        found: dict[str, list[Spent]] = {}
        for entry in self._history.history(since=_now() - LONGEST_SPAN):
            what = _SPENDING.get(entry.what)
            if what is None or not entry.detail.get("issuer"):
                continue
            if what is Spending.FAILURE and entry.detail.get("whose") != Whose.NAME:
                continue
            spent = Spent(entry.at, entry.name, self.domain(entry.name), what)
            # Of each key type there is one, and a CA counts every one.
            count = int(entry.detail.get("certificates", "1"))
            found.setdefault(entry.detail["issuer"], []).extend([spent] * count)
        return found

    def wait(self, name: str, spent: Collection[Spent], *, renews: bool) -> Wait | None:
        """Return the wait that a CA's limits ask for.

        Renewals that say what they replace are free of its limits, but for our own: a CA that
        wants the same name renewed again and again is not obeyed for ever.

        Args:
            name: The certificate's.
            spent: At that CA.
            renews: Whether the order says what it replaces (RFC 9773 §5).
        """
        limits = _EVEN_RENEWALS if renews else LIMITS
        return must_wait(name, self.domain(name), spent, _now(), limits)

    def keep_off(self, directory: str, name: str, error: OrderError) -> None:
        """Remember that a CA wants to be asked later: by everybody, or about one domain."""
        if error.retry_after is not None and error.problem.whose is Whose.ISSUER:
            limited = error.problem.type == "rateLimited"
            self._later[directory, self.domain(name) if limited else ""] = error

    def kept_off(self, directory: str, name: str) -> OrderError | None:
        """Return why a CA is not asked about a name now, to be raised; ``None`` if it may be."""
        for domain in ("", self.domain(name)):
            error = self._later.get((directory, domain))
            if error is not None and error.retry_after is not None and error.retry_after > _now():
                # One of its own for every thread: raising writes a traceback into it.
                return OrderError(error.problem, error.retry_after)
        return None


def _now() -> datetime:
    return datetime.now(UTC)
