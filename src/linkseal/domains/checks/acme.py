"""Checks of what a certificate of ours needs. Pure."""

from __future__ import annotations

from datetime import timedelta

from linkseal.domains.caa import (
    CAAAnswer,
    CAAOutcome,
    CAARecord,
    IssuerIdentity,
    judge_caa,
    names_to_ask,
)
from linkseal.domains.checks.looking import (
    REDIRECTS,
    answers,
    failure,
    is_v6,
    line,
    server_of,
)
from linkseal.domains.checks.model import (
    Finding,
    Passed,
    Problem,
    Severity,
    Skipped,
    View,
    check,
    only_on,
)
from linkseal.domains.observation import Observation, Tried
from linkseal.domains.well_known import CHALLENGE_PATH


@check(
    "DNS-08",
    "CAA",
    severity=only_on("acme", severity=Severity.BLOCKS),
    every=None,
    why="A CAA record of yours may forbid our certificate authority to issue for the name.",
    messages={"forbidden": "{why}.", "unknown": "{why}."},
)
def caa(view: View) -> Finding:
    """The closest CAA set lets one of our CAs in (RFC 8659); an error forbids."""
    seen = view.seen
    if not seen.caa_identities:
        return Skipped("our CAs do not say what they call themselves")
    climbed: list[CAAAnswer] = []
    for name in names_to_ask(seen.host):
        found = answers(seen, name, "CAA")
        # Nobody publishes CAA at a top-level domain but its registry; it need not be asked.
        if not found and "." in name:
            return Skipped(f"CAA of {name} was not asked for")
        good = [each for each in found if not failure(each)]
        error = failure(found[0]) if found and not good else ""
        texts = dict.fromkeys(value for each in good for value in each.values)
        records = tuple(_record(text, known=bool(seen.caa_accounts)) for text in texts)
        climbed.append(CAAAnswer(name, records, error))
        if error or texts:
            break
    method = "dns-01" if seen.acme_delegation else "http-01"
    verdicts = [
        judge_caa(
            seen.host, climbed, IssuerIdentity(frozenset(seen.caa_identities), account, method)
        )
        for account in seen.caa_accounts or ("",)
    ]
    # A CA's accounts are URLs of its own: no record names the account of one and another CA.
    verdict = next((one for one in verdicts if one.outcome is CAAOutcome.ALLOWED), verdicts[0])
    lines = [f'{each.name} CAA {one.flags} {one.tag} "{one.value}"' for each in climbed
             for one in each.records]  # fmt: skip
    if verdict.outcome is CAAOutcome.ALLOWED:
        return Passed(verdict.why, lines)
    expected = f"CAA that allows {', '.join(seen.caa_identities)}, or none"
    shape = "forbidden" if verdict.outcome is CAAOutcome.FORBIDDEN else "unknown"
    return Problem(shape, verdict.at, expected, {"why": verdict.why}, lines)


def _record(text: str, *, known: bool) -> CAARecord:
    """Read a record; which account it names counts only when ours are known."""
    flags, _, rest = text.partition(" ")
    tag, _, value = rest.partition(" ")
    parts = value.strip().strip('"').split(";")
    # One that is not known yet is registered by the order, which holds it against the record.
    kept = [
        part for part in parts if known or part.partition("=")[0].strip().lower() != "accounturi"
    ]
    return CAARecord(int(flags) if flags.isascii() and flags.isdigit() else 0, tag, ";".join(kept))


@check(
    "DNS-09",
    "ACME delegation",
    severity=only_on("acme", severity=Severity.BLOCKS),
    every=timedelta(days=1),
    why="With this record we prove the name to the certificate authority at every renewal.",
    messages={"wrong": "`_acme-challenge.{host}` is {found}; expected CNAME {want}."},
)
def delegation(view: View) -> Finding:
    """``_acme-challenge`` is the CNAME that was handed out, and nothing else."""
    seen = view.seen
    want = seen.acme_delegation
    if not want:
        return Skipped("DNS-01 is not used for this name")
    found = answers(seen, f"_acme-challenge.{seen.host}", "CNAME", "TXT")
    good = [each for each in found if not failure(each)]
    if not found:
        return Skipped("_acme-challenge was not asked for")
    names = [value.lower() for each in good if each.type == "CNAME" for value in each.values]
    texts = [value for each in good if each.type == "TXT" for value in each.values]
    lines = [f"{each.server}: {each.type} {failure(each) or each.values}" for each in found]
    if names and set(names) == {want}:
        return Passed(f"CNAME {want}", lines)
    other = next((name for name in names if name != want), "")
    if other:
        instead = f"CNAME {other}"
    elif texts:
        instead = f'TXT "{texts[0]}"'
    else:
        instead = "missing" if good else f"unreadable ({failure(found[0])})"
    return Problem("wrong", instead, f"CNAME {want}", {"found": instead, "want": want}, lines)


@check(
    "ACM-01",
    "HTTP-01 self-test",
    severity=only_on("acme", severity=Severity.BLOCKS),
    every=None,
    why="The certificate authority fetches a token over port 80; whatever answers there before us "
    "stops the order.",
    messages={
        "elsewhere": "Challenge path answered by {who} ({symptom}).",
        "silent": "Challenge path gets no answer from {address} port 80 ({error}).",
        "redirected": "Challenge path leads to {loc}, where we do not answer.",
    },
)
def self_test(view: View) -> Finding:
    """The challenge path over http leads to our signed answer, on every address."""
    seen = view.seen
    if seen.acme_delegation:
        return Skipped("the order uses DNS-01")
    # Redirects are followed as a CA follows them: what the last request met counts.
    last = {each.address: each for each in seen.exchanges if CHALLENGE_PATH in each.url}
    lines = [line(each) for each in seen.exchanges if CHALLENGE_PATH in each.url]
    expected = "our signed answer"
    for each in last.values():
        location = each.headers.get("location", "")
        values = {"who": server_of(each), "address": each.address, "loc": location}
        if each.echo is not None:
            continue
        if not each.status:
            values["error"] = each.error or "no answer"
            return Problem("silent", values["error"], expected, values, lines)
        if each.status in REDIRECTS and location:
            return Problem("redirected", location, expected, values, lines)
        values["symptom"] = str(each.status)
        return Problem("elsewhere", values["symptom"], expected, values, lines)
    for tried in _closed(seen):
        values = {"address": tried.address, "error": tried.error}
        return Problem("silent", tried.error, expected, values, lines)
    if not last:
        return Skipped("the challenge path was not asked for")
    return Passed(f"our signed answer through {', '.join(last)}", lines)


def _closed(seen: Observation) -> list[Tried]:
    """Return what takes no connection on port 80; a dead IPv6 beside IPv4 is DNS-06's."""
    tried = [each for each in seen.reached if each.port == 80]
    v4_works = any(not each.error and not is_v6(each.address) for each in tried)
    return [each for each in tried if each.error and not (v4_works and is_v6(each.address))]


@check(
    "ACM-02",
    "Order budget",
    severity=only_on("acme", severity=Severity.WARNS),
    every=None,
    why="Certificate authorities limit how many orders they take; an order may have to wait.",
    messages={"waiting": "The next order is {waiting}."},
)
def budget(view: View) -> Finding:
    """Nothing keeps the next order waiting."""
    waiting = view.seen.waiting
    if waiting:
        return Problem("waiting", waiting, "an order at once", {"waiting": waiting})
    return Passed("nothing to wait for") if view.seen.certificate_state else _NO_CERTIFICATE


@check(
    "ACM-03",
    "Renewal",
    severity=only_on("acme", severity=Severity.BLOCKS),
    every=timedelta(hours=1),
    why="A certificate that is not renewed lapses, and browsers then warn at every link.",
    messages={
        "failing": (Severity.WARNS, "Renewal failing since {since}: {problem}."),
        "undated": (Severity.WARNS, "Renewal fails: {problem}."),
        "none": "No certificate is in use ({state}): {problem}.",
        "none-since": "No certificate is in use ({state}), failing since {since}: {problem}.",
        "lapsed": "The certificate we hold is {state}.",
    },
)
def renewal(view: View) -> Finding:
    """We hold a certificate in use, and its last order did not fail."""
    seen = view.seen
    state, problem = seen.certificate_state, seen.certificate_problem
    if not state and not problem:
        return _NO_CERTIFICATE
    since = seen.certificate_failing_since
    if problem and seen.certificate_problem_type:
        problem = f"{seen.certificate_problem_type}: {problem}"
    values = {
        "state": state or "none yet",
        "problem": problem.removesuffix("."),
        "since": f"{since:%Y-%m-%d %H:%M} UTC" if since else "",
    }
    if state in {"valid", "expiring"}:
        if problem:
            return Problem("failing" if since else "undated", problem, "renewed in time", values)
        return Passed(state)
    if problem:
        return Problem("none-since" if since else "none", problem, "a certificate in use", values)
    if state in {"expired", "revoked"}:
        return Problem("lapsed", state, "a certificate in use", values)
    return Skipped(f"the certificate is {state}")


_NO_CERTIFICATE = Skipped("no certificate of ours is there yet")
