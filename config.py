"""The settings, read once from the environment by whoever starts a process."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting there is, each as NIGHTJAR_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="NIGHTJAR_", frozen=True)

    data_dir: Path = Field(
        Path(".nightjar"), description="Folder of the embedded servers: databases, logs, secrets."
    )
    database_url: str = Field(
        "postgresql+psycopg://nightjar@127.0.0.1:5432/nightjar",
        description="SQLAlchemy address of PostgreSQL, driver psycopg.",
        repr=False,
    )
    database_pool: int = Field(20, ge=2, description="Connections that one process may hold.")

    temporal_address: str = Field("127.0.0.1:7233", description="host:port of Temporal's front end.")
    temporal_namespace: str = Field("default", description="Temporal namespace.")
    temporal_tls: bool = Field(False, description="Speak TLS to Temporal.")
    temporal_api_key: SecretStr | None = Field(None, description="API key (Temporal Cloud).")
    temporal_tls_ca: Path | None = Field(None, description="PEM file: who signed the server's certificate.")
    temporal_tls_cert: Path | None = Field(None, description="PEM file: the client's certificate.")
    temporal_tls_key: Path | None = Field(None, description="PEM file: the client's key.")
    task_queue: str = Field("nightjar", description="Start of the names of all task queues.")

    queues: str = Field(
        "jobs,storage", description="Kinds of task queues that a worker serves, with commas between."
    )
    storage_roots: str = Field(
        "",
        description="Folders, with colons between, under which storage sources may be folders of this machine.",
    )
    storage_folders_for: Literal["superusers", "managers"] = Field(
        "superusers", description="Who may have storage sources be folders of this machine, of any project."
    )
    storage_networks: str = Field(
        "",
        description="Networks that are not public and that storage sources of any project may lie in,"
        " with commas between.",
    )
    signing_key: SecretStr | None = Field(
        None,
        description="Secret by which addresses of files in such folders are signed; 32 characters or more.",
    )

    api_host: str = Field("127.0.0.1", description="Interface that the API listens on.")
    api_port: int = Field(8000, description="Port that the API listens on.")
    api_fd: int | None = Field(
        None,
        description="Descriptor of a listening socket that the API inherits and serves, in place of its port.",
    )
    instance: str | None = Field(
        None,
        description="Id of the `nightjar up` that a process belongs to, which the API tells at /version.",
    )
    cors_origins: str = Field(
        "", description="Web pages elsewhere that may call the API: origins with commas between, or *."
    )
    max_body_bytes: int = Field(2_621_440, ge=1024, description="Longest request body that is read.")
    login_attempts: int = Field(
        10,
        ge=1,
        description="Logins of one account that may fail in five minutes; five times as many from one address.",
    )
    time_zone: str = Field("UTC", description="Zone of the times that the API prints (without a zone).")
    log_level: str = Field("INFO", description="Level of the processes' own logs.")

    max_concurrent_activities: int = Field(
        10, ge=1, description="Activities that one worker process runs at once."
    )
    shutdown_grace: float = Field(
        20.0, ge=0, description="Seconds that a stopping worker lets activities finish."
    )
    sweep_every: float = Field(
        30.0, ge=0, description="Seconds between two sweeps; 0 leaves their Schedule as it is, or away."
    )

    @field_validator("signing_key", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        """A variable that is set to nothing, as in a Compose file, is not set."""
        return None if given == "" else given

    @field_validator("storage_networks")
    @classmethod
    def _are_networks(cls, given: str) -> str:
        """Raises ValueError for what is no network, before anything is served."""
        for name in _listed(given):
            ip_network(name)
        return given

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`storage_networks`, one by one."""
        return tuple(map(ip_network, _listed(self.storage_networks)))

    @property
    def storage_folders(self) -> tuple[Path, ...]:
        """`storage_roots`, one by one."""
        return tuple(Path(root) for root in self.storage_roots.split(os.pathsep) if root)


def _listed(names: str) -> list[str]:
    """What stands between commas."""
    return [stripped for name in names.split(",") if (stripped := name.strip())]
