"""Guides: the exact steps for one domain, and files that nothing can break out of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.guides import GUIDES, Guide, Setting, guide
from linkseal.errors import DomainError

HOST = "links.acme.example"
BASE = "ct.example.net"
TARGET = f"t-k3vq2zr5ma7h4wxy.{BASE}"
OWNERSHIP = "ct-verify=ab23cd45ef67gh2a"
CDNS = ("cloudflare", "fastly", "cloudfront", "keycdn", "bunny", "akamai", "azure", "google")
PROXIES = ("nginx", "caddy", "haproxy")


def written(name: str, *, host: str = HOST, zone: str = "") -> Guide:
    return guide(host, TARGET, OWNERSHIP, name, BASE, zone=zone)


def test_there_is_a_guide_for_each() -> None:
    assert sorted(GUIDES) == sorted(CDNS + PROXIES)


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_begins_with_the_proof_and_ends_with_the_request(name: str) -> None:
    text = written(name, zone="acme.example").text()
    route = "proxy" if name in PROXIES else "cdn"
    assert text.startswith(f"{HOST} over SSL with ")
    assert (
        f"1. Prove that the name is yours\n   - In your DNS add TXT `_ct-challenge.{HOST}` (enter "
        f"`_ct-challenge.links` in zone `acme.example`) with the value `{OWNERSHIP}`"
    ) in text
    assert f"`linkseal domain request-ssl {HOST} --route {route}`" in text
    assert TARGET in text
    assert "**" not in text


@pytest.mark.parametrize("name", GUIDES)
def test_markdown_has_the_same_steps_and_the_whole_files(name: str) -> None:
    made = written(name)
    markdown = made.markdown()
    assert markdown.startswith(f"# {made.title}\n")
    for number, step in enumerate(made.steps, 1):
        assert f"\n## {number}. {step.title}\n" in markdown
        for line in step.lines:
            assert f"\n- {line}\n" in markdown
    for file in made.files:
        assert f"```{file.language}\n{file.content}```\n" in markdown


@pytest.mark.parametrize("name", GUIDES)
def test_nothing_of_ours_is_asked_of_the_name_where_cdns_prove_theirs(name: str) -> None:
    """Fastly, Akamai, Google and Cloudflare have a record of their own at that name."""
    assert "_acme-challenge" not in written(name, zone="acme.example").text()


HARDENING = "If you like: show us a client certificate"
SHOWING = {
    "cloudflare": "Authenticated Origin Pulls",
    "fastly": "`ssl_client_cert`",
    "cloudfront": "`OriginMtlsConfig`",
    "nginx": "`proxy_ssl_certificate ",
    "caddy": "`tls_client_auth ",
    "haproxy": "`crt ",
}


@pytest.mark.parametrize("name", GUIDES)
def test_the_name_leads_there_when_all_else_is_done(name: str) -> None:
    """From then on clicks go that way, also those of links that were sent already."""
    needed = [step for step in written(name).steps if step.title != HARDENING]
    titles = [step.title for step in needed]
    assert titles[-3] == "Have the domain enrolled"
    assert "DNS" in titles[-2] or titles[-2] == "Point the name at your proxy"
    assert titles[-1] == "Have it checked, then request SSL"
    for step in needed[1:-2]:
        for line in step.lines:
            assert f"`{HOST}` a CNAME" not in line
            assert f"`{HOST}` an A record" not in line


@pytest.mark.parametrize("name", GUIDES)
def test_the_commands_are_in_the_order_in_which_they_work(name: str) -> None:
    enrolled, route = (name, "cdn") if name in CDNS else ("proxy", "proxy")
    commands = [
        line.partition("`linkseal domain ")[2].partition("`")[0]
        for step in written(name).steps
        for line in step.lines
        if "`linkseal domain " in line
    ]
    networks = " --network ADDRESS" * (name in {*PROXIES, "akamai", "azure", "google"})
    assert commands == [
        f"enrol {HOST} {enrolled}{networks}",
        f"check {HOST}",
        f"request-ssl {HOST} --route {route}",
        f"check {HOST}",
        f"check {HOST} --canary",
        *([f"client-ca {HOST} --ca FILE", f"check {HOST}"] if name in SHOWING else []),
    ]


@pytest.mark.parametrize("name", GUIDES)
def test_a_client_certificate_is_the_last_step_and_optional(name: str) -> None:
    titles = [step.title for step in written(name).steps]
    assert (titles[-1] == HARDENING) is (name in SHOWING)
    assert titles.count(HARDENING) == (name in SHOWING)
    if name in SHOWING:
        assert SHOWING[name] in " ".join(written(name).steps[-1].lines)


def test_the_file_for_cloudflare_names_the_steps_that_it_does() -> None:
    made = written("cloudflare")
    titles = [step.title for step in made.steps]
    assert made.files[0].where.startswith("does steps 2 to 4 and 8 ")
    assert titles[1:4] == [
        "SSL: Full (strict), for this name only",
        "http to https",
        "Cache: bypass",
    ]
    assert titles[7] == "DNS: a proxied CNAME"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cloudflare", "SSL: Full (strict)."),
        ("cloudflare", f"name `{HOST}`, target `{TARGET}`, proxy status Proxied"),
        ("cloudflare", "Bypass cache"),
        ("cloudflare", "Bot Fight Mode off"),
        ("cloudflare", "Email Obfuscation off"),
        ("cloudflare", "Polish off, Mirage off"),
        ("fastly", f"certificate hostname `{TARGET}`, SNI hostname `{TARGET}`"),
        ("fastly", "Override host empty"),
        ("fastly", "by plain http a visitor may say to be at any address"),
        ("cloudfront", "CachingDisabled (`4135ea2d-6df8-44a3-9df3-4b5a84be39ad`)"),
        ("cloudfront", "AllViewer (`216adef6-5c7f-47e4-b989-5492eafa07d3`)"),
        ("keycdn", f"Origin URL `https://{TARGET}`"),
        ("bunny", "Verify Origin SSL Certificate on"),
        ("akamai", "`{{Forward Host Header}}`"),
        ("azure", f"`_dnsauth.{HOST}`"),
        ("azure", "AzureFrontDoor.Backend"),
        ("google", "Cloud CDN off"),
    ],
)
def test_the_settings_that_matter_are_said(name: str, said: str) -> None:
    assert said in written(name).text()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("nginx", [f"{HOST}.conf"]),
        ("caddy", ["Caddyfile"]),
        ("haproxy", [f"{HOST}.cfg"]),
        ("fastly", ["tracking-recv.vcl"]),
        ("cloudflare", ["cloudflare.tf"]),
        ("cloudfront", ["cloudfront.tf"]),
        ("keycdn", []),
    ],
)
def test_files_of_each(name: str, files: list[str]) -> None:
    assert [file.name for file in written(name).files] == files


def test_terraform_does_what_the_steps_say() -> None:
    cloudflare = written("cloudflare").files[0].content
    for said in ('ssl               = "strict"', "proxied = true", "cache = false"):
        assert said in cloudflare
    cloudfront = written("cloudfront").files[0].content
    for said in ('"https-only"', '"POST"', 'region = "us-east-1"', f'domain_name = "{TARGET}"'):
        assert said in cloudfront


@pytest.mark.parametrize(
    "host",
    [
        "links.acme.example; } server { listen 81",
        'links.acme.example" }\nresource "null_resource" "x" {',
        "links.acme.example\n\tfile_server",
        "links.acme.example${file(1)}",
        "links.acme.example`id`",
        "links_acme.example",
        "*.acme.example",
        "links.acme.example\\",
        "",
    ],
)
@pytest.mark.parametrize("name", GUIDES)
def test_a_hostile_name_is_refused(name: str, host: str) -> None:
    with pytest.raises(DomainError) as caught:
        written(name, host=host)
    assert caught.value.code == "domain-name"


@given(host=st.text(max_size=40), name=st.sampled_from(GUIDES))
def test_what_is_not_refused_is_plain(host: str, name: str) -> None:
    try:
        made = written(name, host=f"links{host}.acme.example")
    except DomainError:
        return
    shown = made.title.partition(" ")[0]
    assert set(shown) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_other_values_are_refused_too() -> None:
    with pytest.raises(DomainError) as caught:
        guide(HOST, TARGET, OWNERSHIP, "lighttpd", BASE)
    assert caught.value.code == "guide-unknown"
    with pytest.raises(ValueError, match="not one label under"):
        guide(HOST, f"a.b.{BASE}", OWNERSHIP, "nginx", BASE)
    with pytest.raises(ValueError, match="ownership value"):
        guide(HOST, TARGET, 'x"\n', "nginx", BASE)
    with pytest.raises(DomainError):
        written("nginx", zone="acme.example; }")


@pytest.mark.parametrize(
    "values",
    [
        {"certificate": "/etc/x; }"},
        {"certificate": "relative.pem"},
        {"key": "/etc/x\n"},
        {"roots": "/etc/a b"},
        {"resolver": "dns.example"},
        {"resolver": "192.0.2.1; }"},
        {"resolver": "192.0.2.1:0"},
        {"resolver": "192.0.2.1:"},
        {"https_port": 0},
        {"target_port": 65536},
    ],
)
def test_a_setting_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Setting(**values)


@pytest.mark.parametrize("name", ["cloudflare", "cloudfront"])
def test_terraform_reads_its_file_and_has_nothing_to_put_right(name: str, tmp_path: Path) -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not installed")
    path = tmp_path / "main.tf"
    path.write_text(written(name).files[0].content)
    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_varnish_compiles_the_snippet_of_fastly(tmp_path: Path) -> None:
    varnishd = shutil.which("varnishd")
    if varnishd is None:
        pytest.skip("varnishd is not installed")
    snippet = written("fastly").files[0].content
    path = tmp_path / "main.vcl"
    path.write_text(
        f'vcl 4.1;\nbackend origin {{ .host = "127.0.0.1"; }}\nsub vcl_recv {{\n{snippet}}}\n'
    )
    done = subprocess.run(
        [varnishd, "-j", "none", "-C", "-f", str(path), "-n", str(tmp_path / "work")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "VRT_r_client_ip" in done.stderr
