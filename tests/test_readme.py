"""What the README shows in Python runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
NEWSLETTER = "Subject: News\nContent-Type: text/html\n\n<a href='https://a.example/'>a</a></body>\n"


def test_the_snippets_run_and_show_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "newsletter.eml").write_text(NEWSLETTER)
    assert SNIPPETS
    shows = "\nassert done.message != Path('newsletter.eml').read_bytes(), done\nprint('ran')\n"
    for snippet in SNIPPETS:
        done = subprocess.run(
            [sys.executable, "-c", snippet + shows], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.stdout, done.stderr) == ("ran\n", "")
