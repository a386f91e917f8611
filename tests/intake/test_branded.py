"""A customer's links move with its branded domain's life; the shared domain is always there."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog.testing

from linkseal.demo.recipient import read_message
from linkseal.domains.base import SendingIP, SSLPolicy
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.store import Store
from support.intake import TO, MakeProxy, Proxy, mail, send

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


async def test_the_operator_can_require_ssl_of_every_customer(make_proxy: MakeProxy) -> None:
    async with make_proxy(ssl="required") as proxy:
        claim(proxy.store)
        dns(proxy.store, passed=True)
        assert await base_of_the_next(proxy) == SHARED
        proxy.store.customers.change("dedicated", ssl=SSLPolicy.ALLOWED)
        assert await base_of_the_next(proxy) == SHARED


async def test_what_is_set_of_a_customer_holds_for_the_next_message(make_proxy: MakeProxy) -> None:
    async with make_proxy() as proxy:
        claim(proxy.store)
        dns(proxy.store, passed=True)
        bases = [await base_of_the_next(proxy)]
        for ssl in (SSLPolicy.REQUIRED, SSLPolicy.ALLOWED):
            proxy.store.customers.change("dedicated", ssl=ssl)
            bases.append(await base_of_the_next(proxy))
        proxy.store.customers.change("dedicated", sending_ip=SendingIP.SHARED)
        bases.append(await base_of_the_next(proxy))
    branded = f"http://{HOST}:8080"
    assert bases == [branded, SHARED, branded, SHARED]


async def test_what_is_set_of_a_customer_holds_for_who_is_logged_in(make_proxy: MakeProxy) -> None:
    async with make_proxy() as proxy:
        claim(proxy.store)
        dns(proxy.store, passed=True)
        proxy.store.customers.change("dedicated", smtp_user="both", smtp_password="correct horse")
        async with proxy.client(username="both", password="correct horse") as client:
            bases = []
            for ssl in SSLPolicy:
                proxy.store.customers.change("dedicated", ssl=ssl)
                await client.sendmail("b@x.example", [TO], mail("news@dedicated.example"))
                found = read_message(proxy.mailbox.messages[-1].content).links[0]
                bases.append(found.partition("/c/")[0])
    assert bases == [f"http://{HOST}:8080", SHARED]


async def test_the_log_says_which_base_a_message_got_and_why(make_proxy: MakeProxy) -> None:
    async with make_proxy(unknown_customer="pass") as proxy:
        claim(proxy.store)
        dns(proxy.store, passed=True)
        with structlog.testing.capture_logs() as lines:
            await base_of_the_next(proxy)
            await send(proxy.client(), mail("who@nobody.example"))
    said = [(line["base"], line["why"]) for line in lines if line["event"] == "message"]
    assert said == [
        (f"http://{HOST}:8080", f"DNS of {HOST} is valid, SSL is not enabled yet"),
        (None, None),
    ]
