"""Every benchmark in one run, ours side by side with a peer: ``make bench``."""

from __future__ import annotations

from bench.edge import run as run_edge
from bench.mail import run as run_mail
from bench.names import run as run_names
from bench.report import print_rows


def main() -> None:
    """Run all and print one table a subject."""
    print_rows("The edge against nginx `return 302`, server CPU per click", run_edge())
    print_rows("Many names on one edge worker", run_names())
    print_rows("Instrumentation against pytracking, CPU", run_mail())


if __name__ == "__main__":
    main()
