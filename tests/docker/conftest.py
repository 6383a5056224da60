"""What the engine's tests share: base images, a private index that containers reach, folders to build."""

import ipaddress

import pytest
import standins
from private_index import PrivateIndex

from envsolve import folder
from envsolve.engine.detect import search
from envsolve.engine.docker import DockerEngine
from envsolve.render import image_name, render
from envsolve.talk import Talk


@pytest.fixture(scope="session")
def engine():
    return DockerEngine(search("docker").endpoint)


@pytest.fixture(scope="session")
def client(engine):
    return engine._client()


@pytest.fixture(scope="session")
def base():
    """Have a base image, or skip."""

    def have(reference):
        if reason := standins.ensure(reference):
            pytest.skip(reason)
        return reference

    return have


@pytest.fixture(scope="session")
def gateway(client):
    """This machine's address on the engine's default network."""
    for config in client.networks.get("bridge").attrs["IPAM"]["Config"] or ():
        return config.get("Gateway") or str(ipaddress.ip_network(config["Subnet"])[1])
    pytest.skip("the engine's default network has no addresses")


@pytest.fixture(scope="session")
def private_index(gateway, tmp_path_factory):
    try:
        index = PrivateIndex(gateway, tmp_path_factory.mktemp("index"))
    except OSError as error:
        pytest.skip(f"no private index on {gateway}: {error}")
    yield index
    index.close()


@pytest.fixture
def talk():
    return Talk(quiet=True)


@pytest.fixture
def written(tmp_path, client):
    """Write a lock's folder; its image goes when the test is over."""
    names = []

    def write(lock, **replaced):
        directory = tmp_path / f"folder{len(names)}"
        folder.write(directory, render(lock))
        for name, text in replaced.items():
            (directory / name.replace("__", ".")).write_text(text)
        names.append(image_name(lock))
        return directory

    yield write
    for name in names:
        for image in client.images.list(name):
            client.images.remove(image.id, force=True)
