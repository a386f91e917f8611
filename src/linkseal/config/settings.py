"""The whole configuration, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from linkseal.config.sections import (
    ACMEConfig,
    CDNConfig,
    EdgeConfig,
    JournalConfig,
    LogConfig,
    MailConfig,
    ProberConfig,
    SMTPConfig,
    StoreConfig,
    TLSConfig,
    WatchConfig,
)
from linkseal.config.texts import DomainText, SecretText

ENV_PREFIX = "LINKSEAL_"


class Config(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    base_domain: DomainText = Field(
        "ct.localhost",
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
    master_key: SecretText = Field(
        "",
        description="Master key, base64, instead of the file master.key in data_dir. "
        "Set it in the environment, never in the file.",
    )
    auto_approve: bool = Field(
        False,
        description="Enable SSL for a branded domain as soon as its checks pass, without asking.",
    )
    degraded: Literal["shared", "keep"] = Field(
        "shared",
        description="What links do while a branded domain's SSL is broken: shared or keep.",
    )
    ssl: Literal["allowed", "required"] = Field(
        "allowed",
        description="required: no link of any customer is plain http; allowed: as each has it set.",
    )
    edge: EdgeConfig = Field(EdgeConfig(), description=EdgeConfig.__doc__)
    tls: TLSConfig = Field(TLSConfig(), description=TLSConfig.__doc__)
    acme: ACMEConfig = Field(ACMEConfig(), description=ACMEConfig.__doc__)
    prober: ProberConfig = Field(ProberConfig(), description=ProberConfig.__doc__)
    cdn: CDNConfig = Field(CDNConfig(), description=CDNConfig.__doc__)
    watch: WatchConfig = Field(WatchConfig(), description=WatchConfig.__doc__)
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
        if isinstance(env_settings, EnvSettingsSource):
            # A key (LINKSEAL_ACME__DNS__ZONE) wins over its table given whole
            # (LINKSEAL_ACME__DNS) if it is read after it, so shorter names come first.
            env_settings.env_vars = dict(sorted(env_settings.env_vars.items()))
        return env_settings, init_settings

    @property
    def shared_host(self) -> str:
        """The shared tracking domain's name."""
        return f"{self.shared_label}.{self.base_domain}"

    @property
    def shared_base(self) -> str:
        """Scheme and authority of links on the shared tracking domain."""
        return self.base("https", self.shared_host, fronted=False)

    def base(self, scheme: str, host: str, *, fronted: bool) -> str:
        """Return scheme and authority of links.

        Args:
            scheme: ``https`` or ``http``.
            host: The shared tracking domain or a branded one.
            fronted: Whether something of the customer's answers there, on the web's ports.
        """
        edge = self.edge
        if scheme == "https":
            port, usual = edge.public_https_port or edge.https.port, 443
        else:
            port, usual = edge.public_http_port or edge.http.port, 80
        return f"{scheme}://{host}" + ("" if fronted or port == usual else f":{port}")

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
    def canary_file(self) -> Path:
        """Says which domain is shown a wrong certificate on purpose, while one is."""
        return self.data_dir / "canary.json"

    @property
    def service_file(self) -> Path:
        """Where a running service says where it listens."""
        return self.data_dir / "service.json"

    @property
    def store_url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.store.url or f"sqlite:///{self.data_dir / 'linkseal.db'}"
