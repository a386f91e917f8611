"""A customer's links move with its branded domain's life; the shared domain is always there."""

from __future__ import annotations

from datetime import UTC, datetime

from linkseal.demo.recipient import read_message
from linkseal.domains.base import SendingIP
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.store import Store
from support.intake import MakeProxy, Proxy, mail, send

HOST = "links.dedicated.example"
SHARED = "https://go.ct.example.net:8443"


async def base_of_the_next(proxy: Proxy) -> str:
    await send(proxy.client(), mail("news@dedicated.example"))
    link = read_message(proxy.mailbox.messages[-1].content).links[0]
    return link.partition("/c/")[0]


def claim(store: Store, host: str = HOST) -> None:
    customer = store.customers.add(
        "dedicated", sending_ip=SendingIP.DEDICATED, from_domains=["dedicated.example"]
    )
    store.domains.claim(
        host,
        customer_id=customer.id,
        target="t-aaaaaaaaaaaaaaaa.ct.example.net",
        ownership="proof",
        delegation="d.acme.ct.example.net",
        who="ann",
        now=datetime.now(UTC),
    )


def step(store: Store, action: Action, route: Route | None = None) -> None:
    store.domains.apply(HOST, Step(action, "ann", ("because",), route), datetime.now(UTC))


def dns(store: Store, *, passed: bool) -> None:
    domain = store.domains.get(HOST)
    store.domains.apply_dns(
        HOST,
        target=domain.target,
        passed=passed,
        who="check",
        now=datetime.now(UTC),
        reasons=() if passed else ("the CNAME is gone",),
    )


async def test_links_follow_the_domain_from_claim_to_release(make_proxy: MakeProxy) -> None:
    async with make_proxy() as proxy:
        store = proxy.store
        claim(store)
        bases = [await base_of_the_next(proxy)]
        dns(store, passed=True)
        bases.append(await base_of_the_next(proxy))
        step(store, Action.REQUEST_SSL, Route.CDN)
        bases.append(await base_of_the_next(proxy))
        target = store.domains.get(HOST).target
        assert store.domains.save_report(
            HOST, {}, target=target, route=Route.CDN, blocks=False, now=datetime.now(UTC)
        )
        step(store, Action.APPROVE)
        bases.append(await base_of_the_next(proxy))
        step(store, Action.DEGRADE)
        bases.append(await base_of_the_next(proxy))
        step(store, Action.RECOVER)
        bases.append(await base_of_the_next(proxy))
        step(store, Action.RELEASE)
        bases.append(await base_of_the_next(proxy))
    assert bases == [
        SHARED,
        f"http://{HOST}:8080",
        f"http://{HOST}",
        f"https://{HOST}",
        SHARED,
        f"https://{HOST}",
        SHARED,
    ]


async def test_a_link_of_the_customers_own_host_is_not_sealed_again(make_proxy: MakeProxy) -> None:
    async with make_proxy() as proxy:
        claim(proxy.store)
        body = f'<a href="https://{HOST}/anything">x</a>'
        await send(proxy.client(), mail("news@dedicated.example", body))
        links = read_message(proxy.mailbox.messages[-1].content).links
    assert links == (f"https://{HOST}/anything",)
