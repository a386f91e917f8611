"""The guide for Cloudflare: one table of settings, told as steps, as Terraform and by its API.

What :func:`rules` returns is what the steps say in words, what the Terraform file holds, and
what ``linkseal domain guide --apply`` sets up (:mod:`linkseal.domains.guides.applying`). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from linkseal.domains.guides.model import File, Front, Guide, Names, Step, written

Phase = Literal[
    "http_config_settings", "http_request_cache_settings", "http_request_dynamic_redirect"
]
"""Where a zone keeps the rules of one kind; each has one list of them, in an order."""

PHASES: Final[tuple[Phase, ...]] = get_args(Phase)

NOT_ON_FREE: Final = ("polish", "mirage")
"""Settings that a zone on the free plan does not have: there, they are off."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a zone.

    Attributes:
        phase: Which list it stands in.
        ref: What it is known by; one of ours has the same in every run.
        description: As the dashboard shows it.
        expression: Which requests it is for.
        action: What it does with them.
        parameters: How.
    """

    phase: Phase
    ref: str
    description: str
    expression: str
    action: str
    parameters: Mapping[str, object]


_SWITCHES: Final[tuple[tuple[str, str | bool, str], ...]] = (
    ("ssl", "strict", "SSL: **Full (strict)**"),
    ("email_obfuscation", False, "Email Obfuscation off"),
    ("rocket_loader", False, "Rocket Loader off"),
    ("bic", False, "Browser Integrity Check off"),
    ("polish", "off", "Polish off"),
    ("mirage", False, "Mirage off"),
    ("disable_zaraz", True, "Disable Zaraz"),
    ("disable_rum", True, "Disable RUM"),
    ("security_level", "essentially_off", "Security Level Essentially Off"),
)

BOTS: Final = "Bots: let mail scanners and image proxies through"
UNCHANGED: Final = "Leave the request as it is"
BY_HAND: Final = (BOTS, UNCHANGED)
"""The steps that rules of one name cannot do: they are the whole zone's."""


def rules(host: str) -> tuple[Rule, ...]:
    """Return the rules that a zone needs for one name.

    Args:
        host: A branded domain, checked: it goes into expressions.
    """
    # No label has a `_`, so no two names have the same one.
    ref = f"linkseal_{host.replace('.', '_')}"
    return (
        Rule(
            "http_config_settings",
            ref,
            f"{host}: verified https to the origin, answers unchanged",
            f'(http.host eq "{host}")',
            "set_config",
            {name: value for name, value, _ in _SWITCHES},
        ),
        Rule(
            "http_request_cache_settings",
            ref,
            f"{host}: nothing is cached",
            f'(http.host eq "{host}")',
            "set_cache_settings",
            {"cache": False},
        ),
        Rule(
            "http_request_dynamic_redirect",
            ref,
            f"{host}: http to https",
            f'(http.host eq "{host}" and not ssl)',
            "redirect",
            {
                "from_value": {
                    "status_code": 301,
                    "preserve_query_string": True,
                    "target_url": {
                        "expression": f'concat("https://{host}", http.request.uri.path)'
                    },
                }
            },
        ),
    )


def cloudflare(names: Names) -> Guide:
    """Return the guide for Cloudflare, with Terraform."""
    host, target = names.host, names.target
    rule = f"`Hostname` `equals` `{host}`"
    ssl, *others = (said for _, _, said in _SWITCHES)
    steps = (
        Step(
            "SSL: Full (strict), for this name only",
            (
                f"Rules, Configuration Rules, Create: {rule}.",
                (
                    f"{ssl}. Our certificate names your target, and strict accepts "
                    "that. Never Flexible: it loops, and sends clicks over plain http."
                ),
                (
                    f"In the same rule: {', '.join(others)}. A zone on the Free plan has neither "
                    "Polish nor Mirage."
                ),
            ),
        ),
        Step(
            "http to https",
            (
                (
                    "SSL/TLS, Edge Certificates: Always Use HTTPS on. For this name only: Rules, "
                    "Redirect Rules, **Redirect from HTTP to HTTPS** with its name and the query "
                    "string kept."
                ),
            ),
        ),
        Step("Cache: bypass", (f"Caching, Cache Rules, Create: {rule}, **Bypass cache**.",)),
        Step(
            BOTS,
            (
                "Security, Bots: **Bot Fight Mode off**: no rule can skip it.",
                (
                    f"With Super Bot Fight Mode: a WAF custom rule, {rule}, Skip, All Super Bot "
                    "Fight Mode rules."
                ),
            ),
        ),
        Step(
            UNCHANGED,
            (
                (
                    "No Host header or SNI override for this name in Origin Rules, no Transform "
                    "Rules, and Normalize URLs to origin off."
                ),
                "The Managed Transform Remove visitor IP headers off: we read CF-Connecting-IP.",
            ),
        ),
    )
    way = Step(
        "DNS: a proxied CNAME",
        (
            (
                f"DNS, Records, Add record: type CNAME, name {names.entered(host)}, target "
                f"`{target}`, proxy status **Proxied** (orange cloud)."
            ),
            (
                "Universal SSL covers names one label under the zone; a deeper one needs "
                "Advanced Certificate Manager."
            ),
            (
                f"A zone on a partial (CNAME) set-up also needs `{host}` CNAME "
                f"`{host}.cdn.cloudflare.net` in its own DNS."
            ),
        ),
    )
    front = Front(
        "Cloudflare",
        "cloudflare",
        client_certificate=(
            (
                "SSL/TLS, Origin Server: **Authenticated Origin Pulls** on. The certificate shown "
                "is Cloudflare's own, of the CA that its documentation has for download: it says "
                "that the request came through Cloudflare, not whose it is."
            ),
            (
                "For one of yours, upload it with its key, as PEM, of a private CA, for the zone "
                "(API `/zones/{zone}/origin_tls_client_auth`) or for this name (`…/hostnames`): "
                "the name's comes before the zone's, and that before Cloudflare's own."
            ),
        ),
    )
    return written(names, front, steps, way, [_terraform(host, target)])


_RESOURCES: Final[dict[Phase, tuple[str, str]]] = {
    "http_config_settings": ("tracking_config", "Tracking: settings"),
    "http_request_cache_settings": ("tracking_cache", "Tracking: cache"),
    "http_request_dynamic_redirect": ("tracking_redirect", "Tracking: https"),
}


def _terraform(host: str, target: str) -> File:
    rulesets = "".join(_ruleset(rule) for rule in rules(host))
    standing = "\n".join(f"    cloudflare_ruleset.{name}," for name, _ in _RESOURCES.values())
    return File(
        "cloudflare.tf",
        "hcl",
        "does steps 2 to 4 and 8 with version 5 of the cloudflare provider: apply it after the "
        "steps between",
        f"""\
# {host}: click and open tracking, forwarded to {target}.
# A zone has one ruleset a phase: where yours has rules in one of these, add these to them.

terraform {{
  required_providers {{
    cloudflare = {{
      source  = "cloudflare/cloudflare"
      version = "~> 5.0"
    }}
  }}
}}

variable "zone_id" {{
  description = "The zone of {host}."
  type        = string
}}

variable "free_plan" {{
  description = "Whether that zone is on the Free plan, which lacks some of the settings."
  type        = bool
}}
{rulesets}
resource "cloudflare_dns_record" "tracking" {{
  zone_id = var.zone_id
  name    = "{host}"
  type    = "CNAME"
  content = "{target}"
  proxied = true
  ttl     = 1

  # The name leads here only when the rules stand.
  depends_on = [
{standing}
  ]
}}
""",
    )


def _ruleset(rule: Rule) -> str:
    resource, name = _RESOURCES[rule.phase]
    values = {
        "ref": rule.ref,
        "description": rule.description,
        "expression": rule.expression,
        "action": rule.action,
        "action_parameters": rule.parameters,
    }
    return f"""
resource "cloudflare_ruleset" "{resource}" {{
  zone_id = var.zone_id
  name    = "{name}"
  kind    = "zone"
  phase   = "{rule.phase}"

  rules = [{{
{_attributes(values, "    ")}
  }}]
}}
"""


def _attributes(values: Mapping[str, object], indent: str) -> str:
    """Return attributes as `terraform fmt` writes them: the signs of plain ones aligned."""
    plain = [key for key, value in values.items() if not isinstance(value, Mapping)]
    width = max(map(len, plain), default=0)
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key} = {{", _attributes(value, f"{indent}  "), f"{indent}}}"]
        else:
            unless = "var.free_plan ? null : " if key in NOT_ON_FREE else ""
            lines.append(f"{indent}{key:<{width}} = {unless}{_literal(value)}")
    return "\n".join(lines)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


WRITERS: Final[dict[str, Callable[[Names], Guide]]] = {"cloudflare": cloudflare}
"""By guide."""
