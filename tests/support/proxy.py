"""The customer's own proxy: a real nginx by the guide's own file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from linkseal.domains.guides import Setting, guide
from support.branded import BASE, HOST, Customer, front


@contextlib.contextmanager
def proxy(mine: Customer, found: Any, change: tuple[str, str] = ("", "")) -> Iterator[None]:
    """Run nginx by the guide's own file, or with one thing in it changed."""
    folder = mine.directory
    pem = folder / "proxy.pem"
    mine.web.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(pem)
    setting = Setting(
        certificate=str(pem),
        key=str(pem),
        roots=str(mine.service.ca_file),
        resolver=f"{mine.knot.host}:{mine.knot.port}",
        http_port=mine.ports["http"],
        https_port=mine.ports["https"],
        target_port=mine.service.config.edge.https.port,
    )
    made = guide(HOST, found["target"], found["ownership"], "nginx", BASE, setting=setting)
    assert change[0] in made.files[0].content
    (folder / "site.conf").write_text(made.files[0].content.replace(*change))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + f"events {{}}\nhttp {{ access_log off; include {folder}/site.conf; }}\n"
    )
    words = ("-p", str(folder), "-c", str(folder / "nginx.conf"))
    with front("nginx", *words, port=mine.ports["https"]):
        yield
