"""What the edge answers to whatever is no sealed link: CAs, probes, crawlers, phones, refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.edge.answers import CLOSE
from linkseal.edge.app_files import answer_app_file
from linkseal.edge.canary import is_on
from linkseal.edge.head import Fields, absolute, host_name
from linkseal.edge.probe import Asked, Line

if TYPE_CHECKING:
    from linkseal.edge.state import EdgeState


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as bytes.

    Attributes:
        data: All of it.
        end: How it ends, as in :mod:`linkseal.edge.answers`.
        delay: Seconds it waits; one that does closes its connection.
    """

    data: bytes
    end: int
    delay: float = 0.0


def answer_other(
    state: EdgeState,
    came_by: Line,
    method: str,
    target: bytes,
    host: bytes,
    headers: Fields,
    end: int,
) -> Answer | None:
    """Answer a request for no sealed link: any GET and HEAD; of POST a probe's, else ``None``.

    Args:
        state: The worker's.
        came_by: The connection.
        method: ``GET``, ``HEAD`` or ``POST``.
        target: The raw request target.
        host: The Host field.
        headers: All fields.
        end: How an answer that does not say otherwise ends.
    """
    url = target
    if url[:1] != b"/":
        host, url = absolute(url) or (host, url)
    served = state.served(host)
    path = url.partition(b"?")[0].decode("latin-1")
    asked = Asked(
        method=method,
        target=target,
        path=path,
        host=host_name(host),
        served=served is not None,
        headers=headers,
        rule=None if served is None else served[2],
        came_by=came_by,
    )
    canary = state.snapshot.canary
    if canary or came_by.canary:
        # Only a new connection is shown the wrong certificate, and then the right one again.
        end = CLOSE if is_on(canary, asked.host) is not came_by.canary else end
    answers, head = state.answers, method == "HEAD"
    reply = state.probes.reply(asked)
    if reply is not None:
        state.counts.probes += not reply.busy
        state.counts.probes_refused += reply.busy
        end = CLOSE if reply.delay else end
        return Answer(answers.probe(reply, end, head=head), end, reply.delay)
    if method == "POST":
        return None
    text = None
    if path.startswith(CHALLENGE_PATH):
        token = path.removeprefix(CHALLENGE_PATH)
        if token not in state.challenges:
            # Another worker may have shown it to us who asked first; the CA asks this one.
            state.look_again()
        text = state.challenges.get(token)
    if text is not None:
        # A CA is answered on whatever name, for a name gets its certificate before it is
        # served; the token is nothing one can guess.
        state.counts.challenges += 1
        data = answers.challenge(text, end, head=head)
    elif served is None:
        state.counts.unknown_hosts += 1
        data = answers.page(421, end, head=head)
    elif path == "/robots.txt":
        data = answers.robots(end, head=head)
    elif file := answer_app_file(state, served[0], path, headers, end, head=head):
        data = file
    else:
        state.counts.bad_tokens += 1
        data = answers.page(404, end, head=head)
    return Answer(data, end)
