"""The files that let a phone's app open links of a branded domain: read, judged, made. Pure.

``apple-app-site-association`` (Apple, `Supporting associated domains
<https://developer.apple.com/documentation/xcode/supporting-associated-domains>`_) and
``assetlinks.json`` (`Digital Asset Links
<https://developers.google.com/digital-asset-links/v1/statements>`_). A file is served byte
for byte as it was given: what is not known here is left to the phones.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from linkseal.domains.base import DomainState
from linkseal.domains.strict_json import (
    InvalidError,
    fail,
    list_at,
    member,
    object_at,
    parse,
    text_at,
)
from linkseal.errors import DomainError
from linkseal.seal import UNIVERSAL

LARGEST: Final = 128 * 1024
"""Bytes: Apple takes no larger file."""
CLAIM: Final = f"{UNIVERSAL}/*"
"""The pattern that covers links marked ``universal="true"``, and no other."""

_TOKEN: Final = "AQABx7Lk0-S_3VnQ"  # noqa: S105 - stands for any.
_MARKED: Final = f"{UNIVERSAL}/c/{_TOKEN}"
_ORDINARY: Final = f"/c/{_TOKEN}"
_HANDLES: Final = "delegate_permission/common.handle_all_urls"
_APP_ID = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)
_PACKAGE = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)+", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){31}", re.ASCII)
_VARIABLE = re.compile(r"\$\([^()]*\)")


class AppFileKind(enum.StrEnum):
    """Whose phones a file is for."""

    APPLE = "apple"
    ANDROID = "android"

    @property
    def file_name(self) -> str:
        """What it is called under ``/.well-known/``."""
        return _NAMES[self]


_NAMES: Final = {
    AppFileKind.APPLE: "apple-app-site-association",
    AppFileKind.ANDROID: "assetlinks.json",
}
KIND_OF_PATH: Final[Mapping[str, AppFileKind]] = {
    **{f"/.well-known/{name}": kind for kind, name in _NAMES.items()},
    "/apple-app-site-association": AppFileKind.APPLE,  # Where iOS 9 looks as well.
}
"""What phones, and Apple's own CDN, ask for."""


@dataclass(frozen=True, slots=True)
class AppFile:
    """A file that was read and can be served.

    Attributes:
        kind: Whose phones it is for.
        content: As given.
        apps: Apps it names: ``TEAMID.bundle``, or Android packages.
        warnings: What is likely not meant, in sentences.
    """

    kind: AppFileKind
    content: bytes
    apps: tuple[str, ...]
    warnings: tuple[str, ...]


def serves(state: DomainState) -> bool:
    """Whether a domain's files are served in a state.

    Only once its ownership was proven: whoever holds these files says which apps get a name's
    links, so a claim alone must not be enough.
    """
    return state not in {DomainState.CLAIMED, DomainState.RELEASED}


def read_app_file(kind: AppFileKind, content: bytes) -> AppFile:
    """Read a file and judge it as phones would.

    Raises:
        DomainError: ``app-links-invalid``: phones would refuse it; says where and why.
    """
    try:
        value = parse(content, most=LARGEST)
        apps, rules = (_apple if kind is AppFileKind.APPLE else _android)(value)
    except InvalidError as invalid:
        raise DomainError(
            f"{kind.file_name}: {invalid}", code="app-links-invalid", hint=_HINTS[kind]
        ) from invalid
    return AppFile(kind, content, tuple(dict.fromkeys(apps)), tuple(_warnings(kind, apps, rules)))


def apple_file(apps: Sequence[str]) -> bytes:
    """Return a file that gives apps, each a ``TEAMID.bundle``, the links marked universal.

    Raises:
        DomainError: ``app-links-invalid``.
    """
    components = [{"/": CLAIM, "comment": "links marked universal"}]
    details = [{"appIDs": list(dict.fromkeys(apps)), "components": components}]
    made = _written({"applinks": {"details": details}})
    return read_app_file(AppFileKind.APPLE, made).content


def android_file(apps: Sequence[str]) -> bytes:
    """Return a file that gives apps the links marked universal.

    From Android 15 on it is these rules that count within what the app's manifest claims; before,
    the manifest alone.

    Args:
        apps: Each a ``package=fingerprint`` of its signing certificate, as ``keytool`` prints it.

    Raises:
        DomainError: ``app-links-invalid``.
    """
    fingerprints: dict[str, list[str]] = {}
    for app in apps:
        package, _, fingerprint = app.partition("=")
        fingerprints.setdefault(package.strip(), []).append(_fingerprint(fingerprint))
    rules = {"dynamic_app_link_components": [{"/": CLAIM}, {"/": "*", "exclude": True}]}
    made = _written(
        [
            {
                "relation": [_HANDLES],
                "target": {
                    "namespace": "android_app",
                    "package_name": package,
                    "sha256_cert_fingerprints": list(dict.fromkeys(each)),
                },
                "relation_extensions": {_HANDLES: rules},
            }
            for package, each in fingerprints.items()
        ]
    )
    return read_app_file(AppFileKind.ANDROID, made).content


_HINTS: Final = {
    AppFileKind.APPLE: "compare it with docs/guides/app-links.md, or have it made: "
    "--apple-app TEAMID.bundle",
    AppFileKind.ANDROID: "compare it with docs/guides/app-links.md, or have it made: "
    "--android-app package=SHA256:FINGERPRINT",
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """Which paths a file gives to an app, or keeps from it."""

    pattern: str
    exclude: bool = False
    cased: bool = True
    # Asks for a query or a fragment: sealed links have none.
    narrowed: bool = False

    def covers(self, path: str) -> bool:
        pattern = _VARIABLE.sub("*", self.pattern)
        if not self.cased:
            pattern, path = pattern.lower(), path.lower()
        return not self.narrowed and fnmatchcase(path, pattern.replace("[", "[[]"))


_Rules = list[list[_Rule]]


def _warnings(kind: AppFileKind, apps: Sequence[str], rules: _Rules) -> list[str]:
    if not apps:
        return [f"no statement gives an app {_HANDLES}: no app opens a link"]
    found = []
    if rules and not any(_claims(each, _MARKED) for each in rules):
        found.append(
            f'nothing claims {CLAIM}: links marked universal="true" are opened by the browser'
        )
    if any(_claims(each, _ORDINARY) for each in rules):
        found.append(
            "it claims ordinary links (/c/…) too: the app opens every tracked link, and must "
            f"request each for its click to count; claim {CLAIM} alone"
        )
    return [f"{kind.file_name}: {each}" for each in found]


def _claims(rules: Sequence[_Rule], path: str) -> bool:
    """Whether rules give a path to the app: the first that covers it decides."""
    first = next((rule for rule in rules if rule.covers(path)), None)
    return first is not None and not first.exclude


# Apple.


def _apple(value: Any) -> tuple[list[str], _Rules]:
    links = object_at(member(object_at(value, "the file"), "applinks", "the file"), "applinks")
    details = member(links, "details", "applinks")
    where = "applinks.details"
    if isinstance(details, dict):
        # As iOS 9 had it: by app, with no order among them.
        pairs = [(app, f'{where}["{app}"]', detail) for app, detail in details.items()]
    else:
        pairs = [("", f"{where}[{n}]", each) for n, each in enumerate(list_at(details, where))]
    apps: list[str] = []
    rules: _Rules = []
    for app, at, each in pairs:
        detail = object_at(each, at)
        for found, place in [(app, at)] if app else _app_ids(detail, at):
            if not _APP_ID.fullmatch(found):
                fail(
                    place,
                    f'"{found}" is no app id: the team\'s ten capitals and digits, a dot, the '
                    "bundle id, as ABCDE12345.com.example.app",
                )
            apps.append(found)
        rules.append(_apple_rules(detail, links, at))
    if not apps:
        fail(where, "names no app")
    return apps, rules


def _app_ids(detail: Mapping[str, Any], at: str) -> list[tuple[str, str]]:
    if not detail.keys() & {"appIDs", "appID"}:
        fail(at, "has neither appIDs nor appID")
    if "appIDs" in detail:
        where = f"{at}.appIDs"
        ids = list_at(detail["appIDs"], where)
        return [
            (text_at(each, f"{where}[{number}]"), f"{where}[{number}]")
            for number, each in enumerate(ids)
        ]
    return [(text_at(detail["appID"], f"{at}.appID"), f"{at}.appID")]


def _apple_rules(detail: Mapping[str, Any], links: Mapping[str, Any], at: str) -> list[_Rule]:
    cased = True
    for owner in (links, detail):
        defaults = owner.get("defaults")
        if isinstance(defaults, dict):
            cased = defaults.get("caseSensitive", cased) is not False
    if "components" in detail:
        return _components(detail["components"], f"{at}.components", cased=cased)
    if "paths" not in detail:
        return [_Rule("*")]
    where = f"{at}.paths"
    paths = detail["paths"]
    if paths == "*":  # iOS 9 took it as a string.
        return [_Rule("*")]
    rules = []
    for number, each in enumerate(list_at(paths, where)):
        path = text_at(each, f"{where}[{number}]")
        pattern = path.removeprefix("NOT ").lstrip()
        if not pattern.startswith(("/", "*", "?")):
            fail(f"{where}[{number}]", f'"{path}" must begin with / or *')
        rules.append(_Rule(pattern, exclude=path.startswith("NOT ")))
    return rules


def _components(value: Any, where: str, *, cased: bool = True) -> list[_Rule]:
    rules = []
    for number, each in enumerate(list_at(value, where)):
        at = f"{where}[{number}]"
        component = object_at(each, at)
        if not component.keys() & {"/", "?", "#"}:
            fail(at, 'has no pattern: "/", "?" or "#"')
        pattern = text_at(component.get("/", "*"), f'{at}["/"]')
        for name in ("exclude", "caseSensitive", "percentEncoded"):
            if not isinstance(component.get(name, False), bool):
                fail(f"{at}.{name}", "must be true or false, without quotes")
        rules.append(
            _Rule(
                pattern,
                exclude=component.get("exclude", False),
                cased=component.get("caseSensitive", cased),
                narrowed=any(component.get(name, "*") not in ("*", {}) for name in ("?", "#")),
            )
        )
    return rules


# Android.


def _android(value: Any) -> tuple[list[str], _Rules]:
    apps: list[str] = []
    rules: _Rules = []
    for number, each in enumerate(list_at(value, "the file")):
        at = f"[{number}]"
        statement = object_at(each, at)
        if set(statement) == {"include"}:
            text_at(statement["include"], f"{at}.include")
            continue
        relation = list_at(member(statement, "relation", at), f"{at}.relation")
        for position, name in enumerate(relation):
            text = text_at(name, f"{at}.relation[{position}]")
            if "/" not in text:
                fail(f"{at}.relation[{position}]", f'"{text}" is no relation, as {_HANDLES}')
        package = _target(statement, f"{at}.target", at)
        if package and _HANDLES in relation:
            apps.append(package)
            rules += _dynamic(statement, at)
    return apps, rules


def _target(statement: Mapping[str, Any], where: str, at: str) -> str:
    """Return the package a statement is about; empty for a web site."""
    target = object_at(member(statement, "target", at), where)
    namespace = text_at(member(target, "namespace", where), f"{where}.namespace")
    if namespace == "web":
        text_at(member(target, "site", where), f"{where}.site")
        return ""
    if namespace != "android_app":
        fail(f"{where}.namespace", f'"{namespace}" is neither android_app nor web')
    package = text_at(member(target, "package_name", where), f"{where}.package_name")
    if not _PACKAGE.fullmatch(package):
        fail(f"{where}.package_name", f'"{package}" is no package name, as com.example.app')
    name = "sha256_cert_fingerprints"
    fingerprints = list_at(member(target, name, where), f"{where}.{name}")
    for number, each in enumerate(fingerprints):
        place = f"{where}.{name}[{number}]"
        text = text_at(each, place)
        if _FINGERPRINT.fullmatch(text):
            continue
        if _FINGERPRINT.fullmatch(_fingerprint(text)):
            fail(place, f'"{text}" must be written {_fingerprint(text)}')
        fail(
            place,
            f'"{text}" is no SHA-256 fingerprint: 32 pairs of upper-case hex digits with colons '
            "between, as `keytool -list -v` prints it",
        )
    return package


def _dynamic(statement: Mapping[str, Any], at: str) -> _Rules:
    """Return the rules of Android 15 and later, if there are any."""
    value = statement
    where = at
    for name in ("relation_extensions", _HANDLES):
        if name not in value:
            return []
        where = f"{where}.{name}"
        value = object_at(value[name], where)
    name = "dynamic_app_link_components"
    return [_components(value[name], f"{where}.{name}")] if name in value else []


def _fingerprint(text: str) -> str:
    """Return a fingerprint as the file has it, from what tools print."""
    found = text.strip().upper().removeprefix("SHA256:").strip()
    if ":" not in found:
        found = ":".join(found[at : at + 2] for at in range(0, len(found), 2))
    return found


def _written(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
