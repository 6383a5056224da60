"""Where packages come from: read from the user's own pip configuration and environment, nowhere else.

pip's reader is an internal interface; it is used in this one module, through the two names that have been
stable for years (``Configuration.get_value`` and ``models.index.PyPI``).
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from envsolve.errors import UsageError

# The sections `pip install` reads, strongest first.
_SECTIONS = (":env:", "install", "global")
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# Where Linux systems keep their certificates as one file.
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class IndexConfig:
    """How to reach the package indexes from this machine.

    Addresses may hold credentials, so they are left out of ``repr``; use ``redact`` before showing one.
    """

    index_url: str = field(repr=False)
    extra_index_urls: tuple[str, ...] = field(default=(), repr=False)
    trusted_hosts: tuple[str, ...] = ()
    ca_bundle: Path | None = None
    client_cert: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_proxy: str | None = None
    timeout: float = 15.0
    retries: int = 5
    custom: bool = field(default=False)
    default_index: str | None = field(default=None, repr=False)
    """pip's own built-in default, where it is the index in use: the one address that is nobody's secret."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContainerSettings:
    """The part of an IndexConfig that works inside a container. ``index_url`` is None for pip's own default.

    Extra indexes are no part of it: a lock has nothing of them but what its phases ask an index by name for.
    """

    index_url: str | None = field(default=None, repr=False)
    trusted_hosts: tuple[str, ...] = ()
    ca_bundle: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_proxy: str | None = None
    notes: tuple[str, ...] = ()


def redact(url: str) -> str:
    """The address without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """The address without credentials, and the credentials in it."""
    parts = urlsplit(url)
    if parts.username is None:
        return redact(url), None
    return redact(url), (unquote(parts.username), unquote(parts.password or ""))


def authorized(config: IndexConfig, url: str) -> str:
    """An address with the credentials that pip's configuration has for its host; never to be shown or kept."""
    parts = urlsplit(url)
    for known in (config.index_url, *config.extra_index_urls):
        user, at, host = urlsplit(known).netloc.rpartition("@")
        if at and host == parts.netloc and urlsplit(known).scheme == parts.scheme:
            return urlunsplit(parts._replace(netloc=f"{user}@{host}"))
    return url


class _Settings:
    """pip's settings for ``pip install``, by option name."""

    def __init__(self) -> None:
        from pip._internal.configuration import Configuration
        from pip._internal.exceptions import PipError

        self._error: type[Exception] = PipError
        self._configuration: Any = Configuration(isolated=False)
        try:
            self._configuration.load()
        except PipError as error:
            raise UsageError(
                f"pip's configuration cannot be read: {error}",
                hints=("pip config debug",),
                code="bad-pip-configuration",
            ) from error

    def get(self, option: str) -> str | None:
        """The strongest non-empty value of an option."""
        for section in _SECTIONS:
            try:
                value = self._configuration.get_value(f"{section}.{option}")
            except self._error:
                continue
            if str(value).strip():
                return str(value).strip()
        return None

    def words(self, option: str) -> tuple[str, ...]:
        """A value that lists several things, by white space as pip splits it."""
        return tuple((self.get(option) or "").split())


def _default_index() -> str:
    from pip._internal.models.index import PyPI

    return str(PyPI.simple_url)


def _checked(url: str, what: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{what} is not an address: {error}", hints=("pip config list",)) from error
    return parts


def _bundle(settings: _Settings) -> tuple[Path | None, bool]:
    """The certificate bundle file, and whether somebody configured it."""
    named = [settings.get("cert"), *(os.environ.get(name) for name in _BUNDLE_VARIABLES)]
    for value in named:
        if value:
            path = Path(value).expanduser()
            if not path.exists():
                raise UsageError(
                    f"the certificate bundle {value} named by pip's configuration or the environment is not there",
                    hints=("pip config list",),
                    code="bad-pip-configuration",
                )
            return path, True
    return next((path for path in map(Path, _SYSTEM_BUNDLES) if path.is_file()), None), False


def _proxies(settings: _Settings) -> tuple[dict[str, str], str | None]:
    found = urllib.request.getproxies_environment()
    no_proxy = found.pop("no", None)
    proxies = {scheme: found[scheme] for scheme in (*_SCHEMES, "all") if scheme in found}
    explicit = settings.get("proxy")
    if explicit:
        address = explicit if "://" in explicit else f"http://{explicit}"
        proxies = dict.fromkeys(_SCHEMES, address)
    return proxies, no_proxy


def _number(settings: _Settings, option: str, default: float) -> float:
    value = settings.get(option)
    try:
        return float(value) if value else default
    except ValueError:
        return default


def user_config() -> IndexConfig:
    """What ``pip install`` on this machine would use.

    Raises UsageError when pip's configuration cannot be read or names a certificate bundle that is not there.
    """
    settings = _Settings()
    notes: list[str] = []
    default = _default_index()
    index_url = settings.get("index-url") or settings.get("pypi-url") or default
    if _checked(index_url, "the index").scheme not in _SCHEMES:
        notes.append("pip's index-url is a folder; it has no upload dates, so a lock needs another index")
    extras = [u for u in settings.words("extra-index-url") if _checked(u, "an extra index").scheme in _SCHEMES]
    folders = len(settings.words("extra-index-url")) - len(extras)
    skipped = ["extra indexes on disk" if folders > 1 else "extra index on disk"] if folders else []
    skipped += ["find-links"] if settings.words("find-links") else []
    if skipped:
        notes.append(f"pip's {' and '.join(skipped)} skipped: files without upload dates cannot be locked")
    bundle, configured = _bundle(settings)
    proxies, no_proxy = _proxies(settings)
    client = settings.get("client-cert")
    return IndexConfig(
        index_url=index_url,
        extra_index_urls=tuple(extras),
        trusted_hosts=settings.words("trusted-host"),
        ca_bundle=bundle,
        client_cert=Path(client).expanduser() if client else None,
        proxies=proxies,
        no_proxy=no_proxy,
        timeout=_number(settings, "timeout", _number(settings, "default-timeout", 15.0)),
        retries=int(_number(settings, "retries", 5)),
        custom=configured or bool(proxies) or index_url != default,
        default_index=default if index_url == default else None,
        notes=tuple(notes),
    )


def _inside(url: str) -> bool:
    """Whether an address means the same inside a container: not a folder, not this machine's loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme in _SCHEMES and host != "localhost" and not host.startswith("127.") and host != "::1"


def container_settings(config: IndexConfig) -> ContainerSettings:
    """What a build in a container can use of it; a setting that cannot work there is left out with a note.

    The system's own certificate bundle counts only where an index, a proxy or a bundle was configured:
    elsewhere the one inside pip serves. pip's ``constraint`` and other settings of the user never get in.
    """
    notes: list[str] = []
    kept = {url: _inside(url) for url in (config.index_url, *config.proxies.values())}
    notes += [f"{redact(url)} is not reachable from a container" for url, inside in kept.items() if not inside]
    index: str | None = config.index_url if kept[config.index_url] and config.index_url != _default_index() else None
    bundle = config.ca_bundle if config.custom and config.ca_bundle and config.ca_bundle.is_file() else None
    return ContainerSettings(
        index_url=index,
        trusted_hosts=config.trusted_hosts,
        ca_bundle=bundle,
        proxies={scheme: url for scheme, url in config.proxies.items() if kept[url]},
        no_proxy=config.no_proxy,
        notes=tuple(notes),
    )
