"""Configuration: one TOML file, environment overrides, a default for everything.

Found, first match wins: ``--config``, ``LINKSEAL_CONFIG``, ``./linkseal.toml``,
``/etc/linkseal/linkseal.toml``; with none of them every default holds and all
listens on loopback. ``LINKSEAL_EDGE__WORKERS=4`` overrides ``[edge] workers``.
Unknown keys are refused: a misspelt key must not silently do nothing.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from linkseal.errors import ConfigError

ENV_PREFIX = "LINKSEAL_"
SEARCH = (Path("linkseal.toml"), Path("/etc/linkseal/linkseal.toml"))


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens or connects: ``host:port``, ``[v6]:port``; port 0 is a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``.

        Raises:
            ValueError: No port, or not a number from 0 to 65535.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"expected host:port, as in 127.0.0.1:8443, got {text!r}")
        if host.startswith("[") and host.endswith("]"):
            host = str(IPv6Address(host[1:-1]))
        elif ":" in host:
            raise ValueError(f"write an IPv6 address in brackets, as in [::1]:8443, got {text!r}")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return the form :meth:`parse` reads."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _address(value: object) -> object:
    return Address.parse(value) if isinstance(value, str) else value


AddressField = Annotated[Address, NoDecode, BeforeValidator(_address)]


class Section(BaseModel):
    """A table of the config file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class EdgeConfig(Section):
    """The server that answers recipients."""

    http: AddressField = Field(
        Address("127.0.0.1", 8080), description="Where the edge listens for http."
    )
    https: AddressField = Field(
        Address("127.0.0.1", 8443), description="Where the edge listens for https."
    )
    ops: AddressField = Field(
        Address("127.0.0.1", 9464),
        description="Where /healthz and /metrics are answered; keep it on a private net.",
    )
    max_contexts: int = Field(
        12_000,
        ge=16,
        description="Certificates a worker keeps loaded, the latest used; each takes some 26 KiB.",
    )
    workers: int = Field(2, ge=1, le=256, description="Worker processes sharing the ports.")
    public_https_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="The https port recipients see, when it is not the one listened on.",
    )
    header_timeout: float = Field(
        10.0, gt=0, description="Seconds for a whole request head, and for a TLS handshake."
    )
    idle_timeout: float = Field(
        75.0, gt=0, description="Seconds a connection may stay silent between requests."
    )
    max_head_bytes: int = Field(
        32768, ge=1024, description="Longest request head; longer ones get 431."
    )
    max_url_bytes: int = Field(
        8192, ge=256, le=65536, description="Longest request target; longer ones get 414."
    )
    max_headers: int = Field(100, ge=8, description="Most header fields in a request.")
    max_connections: int = Field(
        20000, ge=16, description="Most open connections per worker; more are closed at once."
    )
    drain_timeout: float = Field(
        10.0, ge=0, description="Seconds open connections get to finish when the service stops."
    )


class TLSConfig(Section):
    """The certificate of the shared tracking domain."""

    certificate: Path | None = Field(
        None,
        description="PEM chain for the shared name and *.<base_domain>; reloaded when it changes. "
        "Without it a local CA makes one.",
    )
    key: Path | None = Field(None, description="PEM private key of that certificate.")


class JournalConfig(Section):
    """The durable log the edge writes before it answers."""

    memory_hits: int = Field(
        200_000,
        ge=1,
        description="Hits a worker keeps in memory while the journal cannot be written.",
    )
    retry_seconds: float = Field(
        1.0, gt=0, description="Seconds between tries to write a journal that failed."
    )
    patience_seconds: float = Field(
        2.0,
        gt=0,
        description="Seconds recipients wait for a disk that hangs; then they are answered "
        "although their hits are only in memory.",
    )


class StoreConfig(Section):
    """The database."""

    url: str = Field(
        "", description="SQLAlchemy URL; empty means an SQLite file in the data directory."
    )
    collect_interval: float = Field(
        0.2, gt=0, description="Seconds between two looks of the collector at an idle journal."
    )


class ListenerConfig(Section):
    """One more SMTP listener, whose mail all belongs to one customer."""

    listen: AddressField = Field(description="Where it listens.")
    customer: str = Field(description="The customer all its mail belongs to.")


class SMTPConfig(Section):
    """The SMTP proxy: mail comes in, goes out instrumented."""

    enabled: bool = Field(True, description="Whether `linkseal up` runs the proxy.")
    listen: AddressField = Field(Address("127.0.0.1", 8025), description="Where the proxy listens.")
    next_hop: AddressField = Field(
        Address("127.0.0.1", 25), description="The mail server that mail is passed on to."
    )
    next_hop_tls: Literal["none", "starttls", "tls"] = Field(
        "none", description="How the connection to the next hop is encrypted."
    )
    next_hop_ca: Path | None = Field(
        None, description="PEM file of CAs to trust for the next hop; empty: the system's."
    )
    next_hop_user: str = Field("", description="User name for AUTH at the next hop; empty: none.")
    next_hop_password: str = Field(
        "",
        description="Password for AUTH at the next hop; better set in the environment.",
        json_schema_extra={"secret": True},
    )
    timeout: float = Field(60.0, gt=0, description="Seconds the next hop gets to answer.")
    data_timeout: float = Field(
        600.0,
        gt=0,
        description="Seconds it gets to answer a whole message; less makes second copies.",
    )
    certificate: Path | None = Field(
        None, description="PEM chain for STARTTLS; with it and the key STARTTLS is offered."
    )
    key: Path | None = Field(None, description="PEM private key of that certificate.")
    auth: Literal["off", "optional", "required"] = Field(
        "optional", description="Whether clients may or must log in with a customer's SMTP user."
    )
    auth_requires_tls: bool = Field(
        True, description="Take passwords over TLS only; connections from loopback are exempt."
    )
    max_message_bytes: int = Field(
        50 * 1024 * 1024, ge=1024, description="Largest message taken, if the next hop takes it."
    )
    unknown_customer: Literal["refuse", "pass"] = Field(
        "refuse",
        description="What happens to mail of no known customer: refused, or passed on untouched.",
    )
    listeners: tuple[ListenerConfig, ...] = Field(
        (), description="More listeners, each for one customer ([[smtp.listeners]])."
    )


class MailConfig(Section):
    """How messages are instrumented."""

    track_clicks: bool = Field(True, description="Seal the links of HTML parts.")
    track_opens: bool = Field(True, description="Add the open pixel.")
    pixel_tag: str = Field(
        "",
        description="Text that the open pixel replaces, as in %open-track%; empty: before </body>.",
    )
    max_links: int = Field(
        10_000, ge=0, description="Most links sealed in a message; the rest stay as they are."
    )


class LogConfig(Section):
    """The service's log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: for people on a terminal, JSON lines elsewhere."
    )


class Config(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
    )

    base_domain: str = Field(
        "ct.localhost",
        pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$",
        description="The domain that shared and target names stand under; ours.",
    )
    shared_label: str = Field(
        "go",
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        description="The shared tracking domain is this label under base_domain.",
    )
    data_dir: Path = Field(
        Path("~/.local/state/linkseal"),
        description="Keys, journal and database; relative to the config file.",
    )
    master_key: str = Field(
        "",
        description="Master key, base64, instead of the file master.key in data_dir. "
        "Set it in the environment, never in the file.",
        json_schema_extra={"secret": True},
    )
    edge: EdgeConfig = Field(EdgeConfig(), description=EdgeConfig.__doc__)
    tls: TLSConfig = Field(TLSConfig(), description=TLSConfig.__doc__)
    journal: JournalConfig = Field(JournalConfig(), description=JournalConfig.__doc__)
    store: StoreConfig = Field(StoreConfig(), description=StoreConfig.__doc__)
    smtp: SMTPConfig = Field(SMTPConfig(), description=SMTPConfig.__doc__)
    mail: MailConfig = Field(MailConfig(), description=MailConfig.__doc__)
    log: LogConfig = Field(LogConfig(), description=LogConfig.__doc__)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which comes in as init values."""
        return env_settings, init_settings

    @property
    def shared_host(self) -> str:
        """The shared tracking domain's name."""
        return f"{self.shared_label}.{self.base_domain}"

    @property
    def shared_base(self) -> str:
        """Scheme and authority of links on the shared tracking domain."""
        port = self.edge.public_https_port or self.edge.https.port
        return f"https://{self.shared_host}" + ("" if port == 443 else f":{port}")

    @property
    def journal_dir(self) -> Path:
        """Where the edge writes and the collector reads."""
        return self.data_dir / "journal"

    @property
    def keyring_file(self) -> Path:
        """The token keyring at rest."""
        return self.data_dir / "keyring.json"

    @property
    def master_key_file(self) -> Path:
        """The master key, unless it is in the environment."""
        return self.data_dir / "master.key"

    @property
    def snapshot_file(self) -> Path:
        """What the edge reads: keys and hosts, and which certificate is for which name, sealed."""
        return self.data_dir / "edge.snapshot"

    @property
    def edge_certificates_dir(self) -> Path:
        """The certificates the snapshot names, sealed."""
        return self.data_dir / "edge.certificates"

    @property
    def metrics_dir(self) -> Path:
        """Where the parts of a running service keep their metrics for one another."""
        return self.data_dir / "metrics"

    @property
    def service_file(self) -> Path:
        """Where a running service says where it listens."""
        return self.data_dir / "service.json"

    @property
    def store_url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.store.url or f"sqlite:///{self.data_dir / 'linkseal.db'}"


@dataclass(frozen=True, slots=True)
class KeyReport:
    """One config key, as ``linkseal config show`` lists it.

    Attributes:
        name: Dotted path, ``edge.workers``.
        value: The value in force as text; secrets are masked.
        origin: ``default``, the file's path, or the environment variable's name.
        description: What it does.
    """

    name: str
    value: str
    origin: str
    description: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it came from."""

    config: Config
    file: Path | None
    keys: tuple[KeyReport, ...]


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration.

    Args:
        path: The file to read; ``None`` searches (see the module's docstring).
        environment: Only names the config file here (``LINKSEAL_CONFIG``) and tells
            origins; overrides are read from the process environment.

    Raises:
        ConfigError: A file that is not there, not TOML, or a key that is unknown or
            wrong; the message names the key, the hint the fix.
    """
    env = os.environ if environment is None else environment
    file = _find(path, env)
    values = _read(file) if file else {}
    _refuse_unknown_environment(env)
    try:
        config = Config(**values)
    except ValidationError as error:
        raise _explain(error, file) from error
    except SettingsError as error:
        raise ConfigError(
            f"an environment override is not readable: {error}",
            hint="lists and tables in the environment are written as JSON",
        ) from error
    config = _anchored(config, file.parent if file else Path.cwd())
    _check_pairs(config)
    return Loaded(config, file, tuple(_report(config, values, env, file)))


def describe_keys() -> Iterator[tuple[str, FieldInfo, object]]:
    """Yield every key's dotted name, field and default, in file order."""
    for name, field in Config.model_fields.items():
        default = field.get_default()
        if isinstance(default, Section):
            for inner, inner_field in type(default).model_fields.items():
                yield f"{name}.{inner}", inner_field, getattr(default, inner)
        else:
            yield name, field, default


def _find(path: Path | None, env: Mapping[str, str]) -> Path | None:
    named = path or (Path(env["LINKSEAL_CONFIG"]) if env.get("LINKSEAL_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(
                f"there is no config file {named}",
                code="config-missing",
                hint="make one with `linkseal init`, or name another with --config",
            )
        return named.resolve()
    return next((found.resolve() for found in SEARCH if found.is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", hint="mend its permissions"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} is not TOML: {error}", code="config-syntax", hint="mend that line"
        ) from error


def _environment_name(key: str) -> str:
    return ENV_PREFIX + key.upper().replace(".", "__")


def _refuse_unknown_environment(env: Mapping[str, str]) -> None:
    known = {_environment_name(key) for key, _, _ in describe_keys()}
    known |= {_environment_name(name) for name in Config.model_fields} | {"LINKSEAL_CONFIG"}
    unknown = sorted(name for name in env if name.startswith(ENV_PREFIX) and name not in known)
    if unknown:
        raise ConfigError(
            f"the environment variable {unknown[0]} names no config key",
            code="config-unknown-key",
            hint="`linkseal config show` lists every key; sections are joined by two underscores",
        )


def _explain(error: ValidationError, file: Path | None) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f" in {file}" if file else ""
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"{key}{where} is not a config key",
            code="config-unknown-key",
            hint="`linkseal config show` lists every key",
        )
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"{key}{where}: {message[0].lower()}{message[1:]}, got {_shown(key, first.get('input'))}",
        code="config-invalid",
        hint=f"correct {key} in the file, or {_environment_name(key)} in the environment",
    )


def _shown(key: str, value: object) -> str:
    secret = key in {"master_key", "smtp.next_hop_password"}
    return "a secret value" if secret else repr(value)


def _anchored(config: Config, directory: Path) -> Config:
    """Return the configuration with every path absolute, relative ones below ``directory``."""

    def anchored(section: Config | Section) -> dict[str, object]:
        paths = ((name, getattr(section, name)) for name in type(section).model_fields)
        return {
            name: (directory / path.expanduser()).resolve()
            for name, path in paths
            if isinstance(path, Path)
        }

    return config.model_copy(
        update={
            **anchored(config),
            "tls": config.tls.model_copy(update=anchored(config.tls)),
            "smtp": config.smtp.model_copy(update=anchored(config.smtp)),
        }
    )


def _check_pairs(config: Config) -> None:
    for section, certificate, key in (
        ("tls", config.tls.certificate, config.tls.key),
        ("smtp", config.smtp.certificate, config.smtp.key),
    ):
        if (certificate is None) != (key is None):
            missing = "key" if key is None else "certificate"
            raise ConfigError(
                f"{section}.{missing} is missing beside its other half",
                code="config-invalid",
                hint=f"set both {section}.certificate and {section}.key, or neither",
            )


def _report(
    config: Config, values: Mapping[str, Any], env: Mapping[str, str], file: Path | None
) -> Iterator[KeyReport]:
    for name, field, _ in describe_keys():
        section, _, inner = name.rpartition(".")
        holder: Any = getattr(config, section) if section else config
        value = getattr(holder, inner)
        extra = field.json_schema_extra
        secret = isinstance(extra, dict) and bool(extra.get("secret"))
        table = values.get(section, {}) if section else values
        in_file = isinstance(table, Mapping) and inner in table
        variables = [_environment_name(name), _environment_name(section) if section else ""]
        origin = next((variable for variable in variables if variable and variable in env), "")
        yield KeyReport(
            name=name,
            value=_as_text(value, secret=secret),
            origin=origin or (str(file) if in_file else "default"),
            description=" ".join((field.description or "").split()),
        )


def _as_text(value: object, *, secret: bool) -> str:
    if secret:
        return "(set)" if value else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(f"{item.listen} → {item.customer}" for item in value)
    return str(value)
