"""Whatever dies while a certificate is ordered: no order and no key is lost."""

from __future__ import annotations

from support.lab import BRANDED, Lab, eventually


def test_a_kill_between_finalize_and_save_loses_nothing(lab: Lab) -> None:
    """The CA has issued, and takes its time to say so, when the process is killed."""
    lab.service.start()
    lab.wait_for("*.ct.example")
    lab.ca.stay_processing(4)
    lab.cli("issue", BRANDED, "--wait", "0", check=False)
    assert eventually(lambda: len(lab.ca.issued) == 2)
    lab.service.kill("certificates")
    lab.ca.stay_processing(0)
    found = lab.wait_for(BRANDED)
    assert [order.identifiers for order in lab.ca.orders].count((BRANDED,)) == 1
    assert found["failures"] == 0
    assert lab.eventually_shown(BRANDED)


def test_everything_is_killed_and_the_next_service_goes_on(lab: Lab) -> None:
    lab.service.start()
    lab.wait_for("*.ct.example")
    lab.ca.stay_processing(30)
    lab.cli("issue", BRANDED, "--wait", "0", check=False)
    assert eventually(lambda: len(lab.ca.issued) == 2)
    lab.service.kill_everything()
    lab.ca.stay_processing(0)
    for order in lab.ca.orders:
        order.polls = 0
    lab.service.start()
    lab.wait_for(BRANDED)
    assert [order.identifiers for order in lab.ca.orders].count((BRANDED,)) == 1
    assert lab.eventually_shown(BRANDED)
    assert lab.eventually_shown("go.ct.example")


def test_a_ca_that_fails_at_renewal_leaves_the_old_certificate_shown(lab: Lab) -> None:
    lab.service.start()
    lab.wait_for("*.ct.example")
    before = lab.cli("issue", BRANDED)["certificates"]
    lab.ca.fail_with(500, None, times=1000)
    failed = lab.run("renew", BRANDED, "--wait", "30")
    assert failed.returncode == 1
    shown = lab.cli("show", BRANDED)
    assert (shown["state"], shown["certificates"]) == ("valid", before)
    assert shown["problem"]["advice"]
    assert lab.eventually_shown(BRANDED)
