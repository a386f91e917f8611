"""What the demo prints: the messages before and after, the events, and what to try."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from linkseal.demo.run import Delivered, is_tracking
from linkseal.seal import Kind
from linkseal.store import Event
from linkseal.testing.service import ServiceProcess

SHOWN_LINKS = 4
SHOWN_WIDTH = 76


class Stage:
    """Prints the demo; colour only on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        """Begin a scene."""
        self._console.print(f"\n[bold]{escape(text)}[/]")

    def line(self, text: str) -> None:
        """Print one line, cut to the terminal."""
        self._console.print(escape(text), overflow="ellipsis", no_wrap=True)

    def message(self, service: ServiceProcess, message: Delivered) -> None:
        """Show a message before and after: some links, and the numbers."""
        pairs = list(zip(message.before.links, message.after.links, strict=True))
        sealed = [pair for pair in pairs if is_tracking(service, pair[1], Kind.CLICK)]
        kept = [before for before, after in pairs if before == after]
        pixels = sum(is_tracking(service, image, Kind.OPEN) for image in message.after.images)
        self._console.print(
            f"\n[bold cyan]{escape(message.letter.subject)}[/] to {message.letter.recipient}: "
            f"{len(message.letter.message):,} bytes in, {len(message.received):,} out; "
            f"{len(sealed)} links sealed, {len(kept)} kept as they were, {pixels} pixel"
        )
        table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
        table.add_column("before", overflow="ellipsis", no_wrap=True, max_width=SHOWN_WIDTH // 2)
        table.add_column("after", overflow="ellipsis", no_wrap=True, max_width=SHOWN_WIDTH)
        for before, after in sealed[:SHOWN_LINKS]:
            table.add_row(escape(before), f"[green]{escape(after)}[/]")
        for before in kept[:SHOWN_LINKS]:
            table.add_row(escape(before), "[dim]the same[/]")
        self._console.print(table)

    def quote(self, text: str) -> None:
        """Print what a command said, as it said it."""
        for line in text.rstrip().splitlines():
            self._console.print(f"  [dim]│[/] {escape(line)}", soft_wrap=True, highlight=False)

    def event(self, event: Event) -> None:
        """Show one event as it arrives."""
        what = f"link {event.link} → {event.destination}" if event.kind == "click" else "the pixel"
        self.line(
            f"  {event.at:%H:%M:%S} {event.kind:<5} {event.customer:<10} "
            f"{event.recipient:<28} {what}"
        )

    def invitation(self, service: ServiceProcess, example: str, roots: Path, branded: str) -> None:
        """Tell the visitor what to try.

        Args:
            service: The service.
            example: A link on the shared domain.
            roots: What verifies certificates here.
            branded: A branded domain.
        """
        config = service.config
        command = f"linkseal --config {service.config_file}"
        edge, smtp = config.edge.https, config.smtp.listen
        self.title("It stays up. Try, in another terminal (the command is .venv/bin/linkseal):")
        self._console.print(
            escape(
                f"""
  a click, with the certificate verified:
    curl -i --cacert {roots} --resolve {config.shared_host}:{edge.port}:{edge.host} \\
      {example}

  what that link carries:          {command} token open {example}
  the events, live:                {command} event tail
  mail of your own:                curl smtp://{smtp} --mail-from news@acme.example \\
                                     --mail-rcpt you@example.net -T newsletter.eml
  which links, and why not:        {command} mail explain newsletter.eml
  a branded domain:                {command} domain show {branded}
  looked at again, from outside:   {command} domain check {branded} --all
  the steps for its CDN:           {command} domain guide {branded} --cdn cloudflare
  which name has which certificate: {command} certificate list
  customers, configuration:        {command} customer list;  {command} config show
  health and metrics:              curl http://{config.edge.ops}/healthz
  the service's log:               tail -f {service.log_file}

Ctrl-C stops everything and removes it."""
            ),
            soft_wrap=True,
        )
