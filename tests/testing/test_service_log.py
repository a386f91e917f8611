"""The log of a service under test, read while it is written."""

from pathlib import Path

from linkseal.testing.service import ServiceProcess


def test_a_line_that_is_being_written_is_no_event_yet(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    service.log_file.write_text('a word\n{"event": "one"}\n{"event": "tw')
    assert service.log() == [{"event": "one"}]
