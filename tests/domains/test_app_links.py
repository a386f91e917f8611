"""Files of app links: what phones would refuse is refused here, and said where and why."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.app_links import (
    KIND_OF_PATH,
    LARGEST,
    AppFileKind,
    android_file,
    apple_file,
    read_app_file,
    serves,
)
from linkseal.domains.base import DomainState
from linkseal.errors import DomainError

APPLE, ANDROID = AppFileKind
APP = "ABCDE12345.com.acme.shop"
PRINT = ":".join(["0A", "FF"] * 16)
HANDLES = "delegate_permission/common.handle_all_urls"


def apple(*details: Any) -> bytes:
    return json.dumps({"applinks": {"details": list(details)}}).encode()


def claims(*components: Any, **more: Any) -> bytes:
    return apple({"appIDs": [APP], "components": list(components), **more})


def android(**changes: Any) -> bytes:
    target = {
        "namespace": "android_app",
        "package_name": "com.acme.shop",
        "sha256_cert_fingerprints": [PRINT],
    }
    target |= changes.pop("target", {})
    return json.dumps([{"relation": [HANDLES], "target": target, **changes}]).encode()


def problem(kind: AppFileKind, content: bytes) -> str:
    with pytest.raises(DomainError) as caught:
        read_app_file(kind, content)
    assert caught.value.code == "app-links-invalid"
    assert "docs/guides/app-links.md" in caught.value.hint
    return caught.value.message.removeprefix(f"{kind.file_name}: ")


def warned(kind: AppFileKind, content: bytes) -> list[str]:
    """Return of each warning what it is about."""
    return [
        next(word for word in ("ordinary", "nothing claims", "no statement") if word in each)
        for each in read_app_file(kind, content).warnings
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not JSON: Expecting value at line 1, column 1"),
        (b'{"applinks": {},\n}', "not JSON: "),
        (b'\xef\xbb\xbf{"applinks": {}}', "begins with a byte order mark"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1, "a": 2}', '"a" stands twice in one object'),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON that phones read"),
        (b"[" * 100_000, "not JSON that phones read"),
        (b" " * (LARGEST + 1), "larger than the 128 KiB that phones take"),
        (b"[]", "the file: must be an object"),
        (b"{}", 'the file: has no "applinks"'),
        (b'{"applinks": {}}', 'applinks: has no "details"'),
        (b'{"applinks": {"details": []}}', "applinks.details: must be a list with something"),
        (b'{"applinks": {"details": {}}}', "applinks.details: names no app"),
        (apple({}), "applinks.details[0]: has neither appIDs nor appID"),
        (apple({"appIDs": []}), "applinks.details[0].appIDs: must be a list with something"),
        (apple({"appIDs": [1]}), "applinks.details[0].appIDs[0]: must be a text"),
        (apple({"appID": "com.acme.shop"}), 'applinks.details[0].appID: "com.acme.shop" is no'),
        (apple({"appIDs": [APP, "abcde12345.x"]}), "applinks.details[0].appIDs[1]: "),
        (claims(), "applinks.details[0].components: must be a list with something"),
        (claims({"path": "/uni/*"}), "applinks.details[0].components[0]: has no pattern"),
        (claims({"/": 1}), 'applinks.details[0].components[0]["/"]: must be a text'),
        (claims({"/": "*", "exclude": "true"}), "applinks.details[0].components[0].exclude: must"),
        (apple({"appID": APP, "paths": ["uni/*"]}), "applinks.details[0].paths[0]: "),
        (apple({"appID": APP, "paths": "/uni/*"}), "applinks.details[0].paths: must be a list"),
    ],
)
def test_what_apples_phones_would_refuse_is_refused(content: bytes, expected: str) -> None:
    assert problem(APPLE, content).startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{}", "the file: must be a list"),
        (b"[]", "the file: must be a list with something"),
        (b"[1]", "[0]: must be an object"),
        (b'[{"target": {}}]', '[0]: has no "relation"'),
        (android(relation="x"), "[0].relation: must be a list"),
        (android(relation=["handle_all_urls"]), '[0].relation[0]: "handle_all_urls" is no'),
        (android(target={"namespace": "ios"}), '[0].target.namespace: "ios" is neither'),
        (android(target={"namespace": "web"}), '[0].target: has no "site"'),
        (android(target={"package_name": "shop"}), '[0].target.package_name: "shop" is no'),
        (
            android(target={"sha256_cert_fingerprints": [PRINT.lower()]}),
            f'[0].target.sha256_cert_fingerprints[0]: "{PRINT.lower()}" must be written {PRINT}',
        ),
        (
            android(target={"sha256_cert_fingerprints": [PRINT, PRINT.replace(":", "")]}),
            f'[0].target.sha256_cert_fingerprints[1]: "{PRINT.replace(":", "")}" must be written',
        ),
        (
            android(target={"sha256_cert_fingerprints": [PRINT[:-3]]}),
            f'[0].target.sha256_cert_fingerprints[0]: "{PRINT[:-3]}" is no SHA-256',
        ),
        (
            android(relation_extensions={HANDLES: {"dynamic_app_link_components": [{}]}}),
            f"[0].relation_extensions.{HANDLES}.dynamic_app_link_components[0]: has no pattern",
        ),
    ],
)
def test_what_androids_phones_would_refuse_is_refused(content: bytes, expected: str) -> None:
    assert problem(ANDROID, content).startswith(expected)


def test_what_is_made_claims_the_links_marked_universal_and_no_others() -> None:
    found = read_app_file(APPLE, apple_file([APP, APP, "ABCDE12345.com.acme.pad"]))
    assert (found.apps, found.warnings) == ((APP, "ABCDE12345.com.acme.pad"), ())
    (detail,) = json.loads(found.content)["applinks"]["details"]
    assert [each["/"] for each in detail["components"]] == ["/uni/*"]


@pytest.mark.parametrize(
    "given", [PRINT, f"SHA256:{PRINT}", f"SHA256: {PRINT.lower()}", PRINT.replace(":", "")]
)
def test_a_fingerprint_is_taken_as_tools_print_it(given: str) -> None:
    other = PRINT.replace("0A", "0B")
    made = android_file([f"com.acme.shop={given}", f"com.acme.shop={other}", f"com.b.c={PRINT}"])
    found = read_app_file(ANDROID, made)
    assert (found.apps, found.warnings) == (("com.acme.shop", "com.b.c"), ())
    first, second = json.loads(found.content)
    assert first["target"]["sha256_cert_fingerprints"] == [PRINT, other]
    assert second["target"]["sha256_cert_fingerprints"] == [PRINT]


@pytest.mark.parametrize(
    "app", ["", "com.acme.shop", "com.acme.shop=", f"={PRINT}", "a.b=SHA256:x"]
)
def test_what_is_no_app_is_not_made(app: str) -> None:
    with pytest.raises(DomainError, match="assetlinks"):
        android_file([app])
    with pytest.raises(DomainError, match="apple-app-site"):
        apple_file([app])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (claims({"/": "/uni/*"}), []),
        (claims({"/": "/uni/c/*", "comment": "ours", "unknown": 1}, unknown=[]), []),
        (claims({"/": "/uni/?*"}), []),
        (claims({"/": "/$(lang)/c/*"}), []),
        (claims({"/": "/UNI/*", "caseSensitive": False}), []),
        (claims({"/": "/UNI/*"}, defaults={"caseSensitive": False}), []),
        (claims({"/": "/c/*", "exclude": True}, {"/": "*"}), []),
        (apple({"appID": APP, "paths": ["NOT /c/*", "*"]}), []),
        (claims({"/": "/UNI/*"}), ["nothing claims"]),
        (claims({"/": "/uni/*", "exclude": True}, {"/": "/*"}), ["nothing claims", "ordinary"]),
        (claims({"/": "/uni/*", "?": {"x": "1"}}), ["nothing claims"]),
        (claims({"/": "/[uc]ni/*"}), ["nothing claims"]),
        (claims({"/": "*"}), ["ordinary"]),
        (claims({"#": "*"}), ["ordinary"]),
        (apple({"appIDs": [APP]}), ["ordinary"]),
        (apple({"appID": APP, "paths": ["/c/*"]}), ["nothing claims", "ordinary"]),
        (apple({"appID": APP, "paths": "*"}), ["ordinary"]),
        (
            b'{"applinks": {"apps": [], "details": {"%b": {"paths": ["/uni/*"]}}}}' % APP.encode(),
            [],
        ),
    ],
)
def test_what_is_likely_not_meant_is_warned_of(content: bytes, expected: list[str]) -> None:
    assert warned(APPLE, content) == expected
    assert read_app_file(APPLE, content).apps == (APP,)


def test_androids_rules_are_judged_likewise_and_the_manifests_are_not_known() -> None:
    def rules(*components: Any) -> bytes:
        return android(relation_extensions={HANDLES: {"dynamic_app_link_components": components}})

    assert warned(ANDROID, android()) == []
    assert warned(ANDROID, rules({"/": "/uni/*"}, {"/": "*", "exclude": True})) == []
    assert warned(ANDROID, rules({"/": "/*"})) == ["ordinary"]
    assert warned(ANDROID, rules({"/": "/shop/*"})) == ["nothing claims"]
    web = {"relation": ["a/b"], "target": {"namespace": "web", "site": "https://acme.example"}}
    include = {"include": "https://acme.example/.well-known/assetlinks.json"}
    assert warned(ANDROID, json.dumps([web, include]).encode()) == ["no statement"]


def test_a_file_is_kept_as_it_is() -> None:
    content = b'\n { "other":1,\t"applinks": {"details": [{"appID":"%b"}]} }\r\n\n' % APP.encode()
    assert read_app_file(APPLE, content).content == content


def test_a_hostile_pattern_takes_no_time() -> None:
    begin = time.process_time()
    read_app_file(APPLE, claims({"/": "*a" * 30_000}, {"/": "?*" * 5000 + "["}))
    assert time.process_time() - begin < 5


def test_the_paths_that_phones_ask_for() -> None:
    assert {
        "/.well-known/apple-app-site-association": APPLE,
        "/apple-app-site-association": APPLE,
        "/.well-known/assetlinks.json": ANDROID,
    } == KIND_OF_PATH


def test_a_claim_alone_serves_nothing() -> None:
    assert {state for state in DomainState if not serves(state)} == {
        DomainState.CLAIMED,
        DomainState.RELEASED,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "applinks",
                    "details",
                    "appIDs",
                    "appID",
                    "components",
                    "paths",
                    "/",
                    "?",
                    "exclude",
                    "relation",
                    "target",
                    "namespace",
                    "include",
                    "defaults",
                    "relation_extensions",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(AppFileKind), JSON.map(lambda value: json.dumps(value).encode()))
def test_any_json_is_read_or_refused(kind: AppFileKind, content: bytes) -> None:
    told: object = content
    try:
        kept = read_app_file(kind, content).content
    except DomainError as error:
        kept, told = b"", error.code
    assert (kept, told) in {(content, content), (b"", "app-links-invalid")}
