"""Every benchmark in one run, ours side by side with a peer: ``make bench``."""

from __future__ import annotations

from bench import edge, mail
from bench.report import print_rows


def main() -> None:
    """Run all and print one table a subject."""
    print_rows("The edge against nginx `return 302`, server CPU per click", edge.run())
    print_rows("Instrumentation against pytracking, CPU", mail.run())


if __name__ == "__main__":
    main()
