"""Cloudflare's API on loopback: zones, DNS records, rulesets and zone settings, in memory.

It speaks the published shapes of what ``linkseal.cdn.cloudflare`` uses: the envelope of
``success``, ``errors``, ``messages``, ``result`` and ``result_info``, the codes of errors,
pages, tokens with permissions, and the limits on what may stand beside a CNAME and on the
number of rules.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

NOW: Final = "2026-11-24T00:00:00.000000Z"
ALL: Final = frozenset({"zone", "dns", "config", "cache", "redirect", "settings"})
"""Every permission; ``dns:read`` and the like allow looking alone."""

_PHASES: Final = {
    "http_config_settings": "config",
    "http_request_cache_settings": "cache",
    "http_request_dynamic_redirect": "redirect",
}
_ALONE: Final = frozenset({"A", "AAAA", "NS", "CNAME"})
_MOST_RULES: Final = 10
_NOT_ON_FREE: Final = frozenset({"polish", "mirage"})


class Call(NamedTuple):
    """A request as it arrived: its method, its path and its JSON body."""

    method: str
    path: str
    body: Any


class _RefusedError(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class ZoneState:
    """A zone: what it holds can be read and set by a test."""

    id: str
    name: str
    status: str = "active"
    type: str = "full"
    plan: str = "pro"
    records: list[dict[str, Any]] = field(default_factory=list)
    rulesets: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, str] = field(
        default_factory=lambda: {"ssl": "full", "always_use_https": "off"}
    )

    def rules(self, phase: str) -> list[dict[str, Any]]:
        """Return the rules of a phase, in their order."""
        found: list[dict[str, Any]] = self.rulesets.get(phase, {"rules": []})["rules"]
        return found


class CloudflareAPI:
    """The API on a free loopback port, from entering the context to leaving it.

    Attributes:
        url: Its base URL.
        zones: By id.
        tokens: Their permissions.
        calls: Everything that was asked, in order.
        per_page: The longest page it gives.
    """

    def __init__(self, *tokens: str) -> None:
        self.zones: dict[str, ZoneState] = {}
        self.tokens: dict[str, frozenset[str]] = dict.fromkeys(tokens, ALL)
        self.calls: list[Call] = []
        self.per_page = 100
        self._ids = (f"{number:032x}" for number in count(1))
        self._failures: dict[tuple[str, str], tuple[int, int, bytes]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/client/v4"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def zone(self, name: str, **values: Any) -> ZoneState:
        """Add a zone and return it."""
        made = ZoneState(next(self._ids), name, **values)
        self.zones[made.id] = made
        return made

    def record(self, zone: ZoneState, kind: str, name: str, content: str, **more: Any) -> None:
        """Put a record into a zone as if it had always been there."""
        zone.records.append(self._record({"type": kind, "name": name, "content": content, **more}))

    def rule(self, zone: ZoneState, phase: str, **values: Any) -> dict[str, Any]:
        """Put a rule at the end of a phase's as if it had always been there."""
        ruleset = zone.rulesets.setdefault(phase, self._ruleset(phase, "default"))
        ruleset["rules"].append(self._rule(values))
        added: dict[str, Any] = ruleset["rules"][-1]
        return added

    def fail(
        self, method: str, path: str, status: int, body: object = None, *, times: int = 1
    ) -> None:
        """Answer the next requests of a method, whose path holds a text, with an error.

        Args:
            method: As in ``POST``.
            path: A part of the path.
            status: Of the answer; 0 hangs up without one.
            body: An envelope or what is to be sent in its place; None sends HTML.
            times: How many.
        """
        sent = b"<h1>Bad gateway</h1>" if body is None else json.dumps(body).encode()
        self._failures[method, path] = times, status, sent

    def answer(
        self, method: str, path: str, query: Mapping[str, str], token: str, body: Any
    ) -> tuple[int, bytes]:
        """Answer a request of the server's."""
        with self._lock:
            self.calls.append(Call(method, path, body))
            for (verb, part), (times, status, sent) in self._failures.items():
                if times and verb == method and part in path:
                    self._failures[verb, part] = times - 1, status, sent
                    return status, sent
            try:
                result, info = self._answer(method, path, query, token, body)
            except _RefusedError as error:
                refusal = refused(error.code, error.message)
                return error.status, json.dumps(refusal).encode()
        envelope = {"success": True, "errors": [], "messages": [], "result": result}
        return 200, json.dumps(envelope | ({"result_info": info} if info else {})).encode()

    def _answer(
        self, method: str, path: str, query: Mapping[str, str], token: str, body: Any
    ) -> tuple[Any, dict[str, int]]:
        if token not in self.tokens:
            raise _RefusedError(403, 9109, "Invalid access token")
        for verb, pattern, do in self._routes():
            found = re.fullmatch(f"/client/v4{pattern}", path)
            if verb == method and found:
                zone = self.zones.get(found.groupdict().get("zone", ""))
                if zone is None and "zone" in found.groupdict():
                    raise _RefusedError(404, 7003, f"Could not route to {path}")
                rest = {key: value for key, value in found.groupdict().items() if key != "zone"}
                return do(zone=zone, query=query, token=token, body=body, **rest)
        raise _RefusedError(400, 7000, "No route for that URI")

    def _routes(self) -> Sequence[tuple[str, str, Callable[..., tuple[Any, dict[str, int]]]]]:
        zone, rulesets = r"/zones/(?P<zone>\w+)", r"/zones/(?P<zone>\w+)/rulesets"
        return (
            ("GET", "/zones", self._list_zones),
            ("GET", zone, self._get_zone),
            ("GET", rf"{zone}/settings/(?P<name>\w+)", self._get_setting),
            ("GET", rf"{zone}/dns_records", self._list_records),
            ("POST", rf"{zone}/dns_records", self._write_record),
            ("PATCH", rf"{zone}/dns_records/(?P<record>\w+)", self._write_record),
            ("GET", rf"{rulesets}/phases/(?P<phase>\w+)/entrypoint", self._get_phase),
            ("POST", rulesets, self._make_ruleset),
            ("POST", rf"{rulesets}/(?P<ruleset>\w+)/rules", self._write_rule),
            ("PATCH", rf"{rulesets}/(?P<ruleset>\w+)/rules/(?P<rule>\w+)", self._write_rule),
        )

    def _allow(self, token: str, permission: str, *, write: bool = False) -> None:
        held = self.tokens[token]
        if permission not in held and (write or f"{permission}:read" not in held):
            raise _RefusedError(403, 10000, "Authentication error")

    def _page(
        self, items: Sequence[Any], query: Mapping[str, str]
    ) -> tuple[list[Any], dict[str, int]]:
        size = min(int(query.get("per_page", "100")), self.per_page)
        page = int(query.get("page", "1"))
        shown = list(items[(page - 1) * size : page * size])
        pages = -(-len(items) // size)
        info = {"page": page, "per_page": size, "count": len(shown)}
        return shown, info | {"total_count": len(items), "total_pages": pages}

    def _list_zones(self, *, query: Mapping[str, str], token: str, **_: Any) -> tuple[Any, Any]:
        # A token that may see no zone is shown none: no error.
        seen = self.zones.values() if "zone" in self.tokens[token] else ()
        name = query.get("name")
        return self._page([_zone(each) for each in seen if name in {None, each.name}], query)

    def _get_zone(self, *, zone: ZoneState, token: str, **_: Any) -> tuple[Any, Any]:
        self._allow(token, "zone")
        return _zone(zone), None

    def _get_setting(self, *, zone: ZoneState, name: str, token: str, **_: Any) -> tuple[Any, Any]:
        if "settings" not in self.tokens[token]:
            raise _RefusedError(403, 9109, "Unauthorized to access requested resource")
        value = zone.settings[name]
        return {"id": name, "value": value, "editable": True, "modified_on": NOW}, None

    def _list_records(
        self, *, zone: ZoneState, query: Mapping[str, str], token: str, **_: Any
    ) -> tuple[Any, Any]:
        self._allow(token, "dns")
        name = query.get("name.exact")
        return self._page([each for each in zone.records if name in {None, each["name"]}], query)

    def _write_record(
        self, *, zone: ZoneState, token: str, body: dict[str, Any], record: str = "", **_: Any
    ) -> tuple[Any, Any]:
        self._allow(token, "dns", write=True)
        others = [
            each for each in zone.records if each["name"] == body["name"] and each["id"] != record
        ]
        if any(
            (each["type"], each["content"]) == (body["type"], body["content"]) for each in others
        ):
            raise _RefusedError(400, 81058, "An identical record already exists.")
        if body["type"] == "CNAME" and any(each["type"] in _ALONE for each in others):
            message = "An A, AAAA, or CNAME record with that host already exists."
            raise _RefusedError(400, 81053, message)
        if not record:
            zone.records.append(self._record(body))
            return zone.records[-1], None
        (found,) = (each for each in zone.records if each["id"] == record)
        found |= body
        return found, None

    def _get_phase(self, *, zone: ZoneState, phase: str, token: str, **_: Any) -> tuple[Any, Any]:
        self._allow(token, _PHASES[phase])
        if phase not in zone.rulesets:
            message = f"could not find entrypoint ruleset in the {phase} phase"
            raise _RefusedError(404, 10003, message)
        return zone.rulesets[phase], None

    def _make_ruleset(
        self, *, zone: ZoneState, token: str, body: dict[str, Any], **_: Any
    ) -> tuple[Any, Any]:
        phase = body["phase"]
        self._allow(token, _PHASES[phase], write=True)
        if phase in zone.rulesets:
            raise _RefusedError(400, 20217, "exceeded maximum number of zone rulesets for phase")
        for each in body["rules"]:
            _entitle(zone, each)
        made = self._ruleset(phase, body["name"])
        made["rules"] = [self._rule(each) for each in body["rules"]]
        zone.rulesets[phase] = made
        return made, None

    def _write_rule(
        self,
        *,
        zone: ZoneState,
        token: str,
        body: dict[str, Any],
        ruleset: str,
        rule: str = "",
        **_: Any,
    ) -> tuple[Any, Any]:
        (found,) = (each for each in zone.rulesets.values() if each["id"] == ruleset)
        self._allow(token, _PHASES[found["phase"]], write=True)
        _entitle(zone, body)
        rules: list[dict[str, Any]] = found["rules"]
        if any(each["ref"] == body.get("ref") and each["id"] != rule for each in rules):
            raise _RefusedError(400, 20068, "duplicate ref in ruleset")
        if rule:
            (place,) = (number for number, each in enumerate(rules) if each["id"] == rule)
            rules[place] = self._rule(body) | {"id": rule}
        elif len(rules) >= _MOST_RULES:
            over = f"{len(rules) + 1} out of {_MOST_RULES}"
            message = f"exceeded the maximum number of rules in the phase {found['phase']}: {over}"
            raise _RefusedError(400, 50001, message)
        else:
            rules.append(self._rule(body))
        return found, None

    def _record(self, values: Mapping[str, Any]) -> dict[str, Any]:
        made = {"id": next(self._ids), "ttl": 1, "proxied": False, "proxiable": True}
        return made | {"created_on": NOW, "modified_on": NOW, "meta": {}, "tags": []} | dict(values)

    def _ruleset(self, phase: str, name: str) -> dict[str, Any]:
        made = {"id": next(self._ids), "name": name, "kind": "zone", "phase": phase}
        return made | {"version": "1", "last_updated": NOW, "rules": []}

    def _rule(self, values: Mapping[str, Any]) -> dict[str, Any]:
        made = {"id": (new := next(self._ids)), "ref": new, "version": "1", "last_updated": NOW}
        return made | {"enabled": True, "description": ""} | dict(values)


def refused(code: int, message: str) -> dict[str, Any]:
    """Return the envelope of a refusal."""
    errors = [{"code": code, "message": message}]
    return {"success": False, "errors": errors, "messages": [], "result": None}


def _entitle(zone: ZoneState, rule: Mapping[str, Any]) -> None:
    """Refuse a rule with settings that the zone's plan does not have."""
    missing = _NOT_ON_FREE & set(rule["action_parameters"]) if zone.plan == "free" else set()
    if missing:
        raise _RefusedError(400, 20120, f"not entitled to use {', '.join(sorted(missing))}")


def _zone(zone: ZoneState) -> dict[str, Any]:
    return {
        "id": zone.id,
        "name": zone.name,
        "status": zone.status,
        "type": zone.type,
        "paused": False,
        "development_mode": 0,
        "account": {"id": f"account-{zone.id}", "name": f"Account of {zone.name}"},
        "plan": {"id": zone.plan, "name": zone.plan, "legacy_id": zone.plan},
        "owner": {"id": None, "type": "user", "name": None},
        "meta": {"step": 2, "page_rule_quota": 3},
        "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
        "created_on": NOW,
        "modified_on": NOW,
        "activated_on": NOW,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # leaving the context waits for the answers under way
    owner: CloudflareAPI


class _Handler(BaseHTTPRequestHandler):
    """One request a connection: what is idle cannot keep the server from closing."""

    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        body = json.loads(sent) if sent else None
        status, answer = self.server.owner.answer(self.command, url.path, query, token, body)
        if not status:
            return
        kind = "text/html" if answer.startswith(b"<") else "application/json"
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    do_POST = do_PATCH = do_GET  # noqa: N815 - the hooks' names

    def log_message(self, *_: object) -> None:
        """Say nothing; ``calls`` has the record."""
