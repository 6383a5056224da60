"""Index settings come from pip's own files and variables, and only what works in a container goes there."""

import re
from pathlib import Path

import pytest

from envsolve.errors import UsageError
from envsolve.lock.pipconfig import authorized, container_settings, redact, user_config


@pytest.fixture
def pip_conf(tmp_path, monkeypatch):
    """Write pip.conf for the test; nothing of this machine's settings reaches it."""
    import os

    for name in list(os.environ):
        if re.match(r"(?i)(PIP_|(https?|all|no)_proxy$|REQUESTS_CA|CURL_CA|SSL_CERT)", name):
            monkeypatch.delenv(name)
    path = tmp_path / "pip.conf"
    monkeypatch.setattr("pip._internal.configuration.get_configuration_files", lambda: {
        "global": [], "site": [], "user": [str(path)],
    })  # fmt: skip

    def write(text):
        path.write_text(text)
        return user_config()

    return write


def test_pips_own_default_is_the_default(pip_conf):
    from pip._internal.models.index import PyPI

    config = pip_conf("")
    assert config.index_url == PyPI.simple_url
    assert config.extra_index_urls == () and not config.custom and config.notes == ()
    assert config.default_index == PyPI.simple_url
    settings = container_settings(config)
    assert settings.index_url is None and settings.ca_bundle is None and dict(settings.proxies) == {}


def test_files_and_variables_in_pips_order(pip_conf, monkeypatch):
    text = "[global]\nindex-url = http://one.example/simple\ntimeout = 3\n[install]\nindex-url = http://two.example/simple\n"
    assert pip_conf(text).index_url == "http://two.example/simple"
    assert pip_conf(text).timeout == 3.0
    monkeypatch.setenv("PIP_INDEX_URL", "http://three.example/simple")
    assert pip_conf(text).index_url == "http://three.example/simple"


def test_folders_are_skipped_and_said(pip_conf, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/some/wheels")
    config = pip_conf(
        "[global]\nconstraint = /some/c.txt\n"
        "extra-index-url =\n  file:///some/simple\n  http://me:secret@extra.example/simple\n"
    )
    assert config.extra_index_urls == ("http://me:secret@extra.example/simple",)
    assert config.default_index is not None
    assert config.notes == (
        "pip's extra index on disk and find-links skipped: files without upload dates cannot be locked",
    )
    assert "secret" not in repr(config)
    settings = container_settings(config)
    assert "extra.example" not in str(settings.__dict__)
    assert "secret" not in repr(settings) and "/some" not in repr(settings)


def test_certificates_proxies_and_trusted_hosts_reach_the_container(pip_conf, monkeypatch, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "intra.example")
    settings = container_settings(pip_conf("[global]\ntrusted-host = a.example\n  b.example:8080\n"))
    assert settings.ca_bundle == bundle
    assert dict(settings.proxies) == {"https": "http://proxy.example:3128"} and settings.no_proxy == "intra.example"
    assert settings.trusted_hosts == ("a.example", "b.example:8080")


def test_pips_proxy_and_cert_win_over_the_environment(pip_conf, monkeypatch, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----")
    monkeypatch.setenv("SSL_CERT_FILE", "/elsewhere")
    monkeypatch.setenv("HTTP_PROXY", "http://other.example")
    config = pip_conf(f"[global]\ncert = {bundle}\nproxy = proxy.example:3128\n")
    assert config.ca_bundle == bundle
    assert config.proxies == {"http": "http://proxy.example:3128", "https": "http://proxy.example:3128"}


@pytest.mark.parametrize("url", ["http://localhost:3141/simple", "http://127.0.0.1/simple", "http://[::1]:8/simple"])
def test_what_is_only_on_this_machine_stays_here(pip_conf, url):
    settings = container_settings(pip_conf(f"[global]\nindex-url = {url}\nextra-index-url = {url}x\n"))
    assert settings.index_url is None
    assert len(settings.notes) == 1 and "not reachable from a container" in settings.notes[0]


def test_a_bundle_that_is_not_there(pip_conf):
    with pytest.raises(UsageError, match=r"/nowhere/ca\.pem") as error:
        pip_conf("[global]\ncert = /nowhere/ca.pem\n")
    assert error.value.code == "bad-pip-configuration"


@pytest.mark.parametrize("text", ["[global\n", "[global]\nindex-url = http://[broken/simple\n"])
def test_settings_that_cannot_be_read(pip_conf, text):
    with pytest.raises(UsageError):
        pip_conf(text)


def test_this_machines_own_settings_can_be_read():
    config = user_config()
    assert config.index_url.startswith(("http", "file"))
    assert config.ca_bundle is None or Path(config.ca_bundle).exists()


def test_redact():
    assert redact("http://me:se%40cret@host.example:8080/simple?x=1") == "http://host.example:8080/simple?x=1"
    assert redact("http://host.example/simple") == "http://host.example/simple"


def test_credentials_for_an_index_are_those_of_its_host_and_scheme(pip_conf):
    config = pip_conf("[global]\nextra-index-url = https://me:secret@wheels.example/simple\n")
    assert authorized(config, "https://wheels.example/own") == "https://me:secret@wheels.example/own"
    for other in ("http://wheels.example/own", "https://wheels.example:8443/own", "https://other.example/simple"):
        assert authorized(config, other) == other
