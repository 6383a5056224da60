"""The container engine: Docker, or podman behind the same interface.

Everything but building goes through the docker SDK. Building goes through ``docker buildx build`` where that
command is there and works, else through the SDK, that is the classic builder (or podman's own).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envsolve.engine import base
from envsolve.engine.base import PROBE_DIRECTORY, PROBE_TIMEOUT_S, BuildSettings, Built, ProbeRun, processor_settings
from envsolve.engine.buildx import Buildx, no_attestations
from envsolve.engine.context import (
    BuildLog,
    build_arguments,
    building_alone,
    fingerprint,
    images_given,
    labels_of,
    say_notes,
    secrets,
    staged,
)  # fmt: skip
from envsolve.engine.detect import Endpoint
from envsolve.engine.failures import build_failure, start_failure
from envsolve.engine.platforms import fitted
from envsolve.errors import EnvsolveError, NotReadyError, UsageError
from envsolve.extras import BUILDKIT
from envsolve.lock.pylock import VENDOR
from envsolve.models import Lock
from envsolve.quoting import word

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from envsolve.talk import Talk

_CALL_TIMEOUT_S = 60
# The container's own scratch space. exec: Theano loads the modules it compiles there.
_SCRATCH = "/tmp"  # noqa: S108
_MOUNT = "rw,exec,nosuid,nodev,mode=1777,size=4g"


class DockerEngine:
    """Builds images and runs probes in containers."""

    def __init__(self, endpoint: Endpoint, *, need_gpu: bool = False) -> None:
        self.endpoint = endpoint
        self._need_gpu = need_gpu
        self._connected: DockerClient | None = None

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""
        return self.endpoint.kind

    # -- building ------------------------------------------------------------------------------------------------

    def build(self, folder: Path, lock: Lock, settings: BuildSettings, talk: Talk) -> Built:
        """Build the image of a rendered folder.

        An image that was built from these very files is taken as it is, unless ``no_cache`` or ``pull``. What the
        build leaves beside the image (the stages that saw credentials) is removed.

        Raises NotReadyError (``disk-full``, ``no-base-image``, ``engine-lost``) and BuildError, whose facts are
        the log's last meaningful lines. An interrupt ends the build and leaves no container behind.
        """
        from envsolve.render import image_name

        tag, started = image_name(lock), time.monotonic()
        settings = fitted(lock, settings, self._machine(), self.name, talk)
        if (folder / VENDOR).is_dir():
            from envsolve.engine.foundation import have

            settings = replace(settings, network="none") if have(self, folder, lock, talk) else settings
        if settings.base and settings.network == "none":
            raise UsageError(
                f"{folder} brings its image in vendor/image.tar: another base has no place in it",
                hints=(f"envsolve render {word(folder)}", f"rm {word(folder / VENDOR)}/image.tar"),
                code="contradictory-options",
            )
        with staged(folder, settings) as context, building_alone(self.name, tag):
            labels = labels_of(fingerprint(context), settings)
            there = None if settings.anew else self._built(tag, labels)
            if there is not None:
                talk.say(f"{self.name}: {tag} is there, made of these files")
                return there
            log_path = self._make(context, lock, labels, settings, talk)
            self._tidy(lock)
        built = self._built(tag, labels)
        if built is None:
            raise NotReadyError(f"{self.name} built {tag} and does not have it", hints=(f"less {log_path}",))
        return Built(self.name, built.subject, tag, log_path, time.monotonic() - started, built.size)

    def _make(self, context: Path, lock: Lock, labels: dict[str, str], settings: BuildSettings, talk: Talk) -> Path:
        """Build what is staged, one way or the other. The log's path."""
        from envsolve.render import image_name

        tag = image_name(lock)
        say_notes(lock, settings, talk)
        arguments = build_arguments(settings.container) | images_given(settings)
        buildx = Buildx.found(self.endpoint) if self.name == "docker" else None
        build = buildx.build if buildx else self._classic
        if buildx is None and (context / BUILDKIT).is_file():
            talk.say(f"note: {BUILDKIT} is left alone: no docker buildx works here; building the Dockerfile")
        if settings.attest and not (buildx and buildx.attests):
            raise no_attestations(self.name)
        log = BuildLog(tag.rpartition(":")[2], talk, secrets(arguments))
        whole = f"less {word(log.path)}"
        try:
            with talk.step(f"{self.name}: building {tag}"):
                failure = build(context, tag, labels, arguments, settings, log)
                if failure is not None:
                    image = lock.image.model_copy(update={"reference": settings.base or lock.image.reference})
                    there = lock.model_copy(update={"image": image})
                    raise build_failure(log.tail, log.clean(failure), there, log.path, self.name)
        except EnvsolveError as error:
            if whole not in error.hints:
                error.hints = (*error.hints, whole)
            raise
        except KeyboardInterrupt:
            talk.say(f"the build was given up; its log so far: {log.path}")
            raise
        finally:
            log.close()
        return log.path

    def _tidy(self, lock: Lock) -> None:
        """Remove the classic builder's stages: they are as big as the image, and their history holds addresses."""
        from docker.errors import DockerException

        from envsolve.render import lock_hash

        left = {"dangling": True, "label": [f"dev.envsolve.left-behind-by={lock_hash(lock)}"]}
        with suppress(DockerException, OSError):
            self._client().images.prune(filters=left)

    def _classic(
        self,
        context: Path,
        tag: str,
        labels: Mapping[str, str],
        arguments: Mapping[str, str],
        settings: BuildSettings,
        log: BuildLog,
    ) -> str | None:
        """Build through the SDK. The engine's message when it failed."""
        with self._lost(), _ended_early(self._client()) as running:
            events = self._client().api.build(
                path=str(context), tag=tag, labels=dict(labels), buildargs=dict(arguments), decode=True,
                rm=True, forcerm=True, nocache=settings.no_cache, pull=settings.pull, network_mode=settings.network,
                platform=settings.platform,
            )  # fmt: skip
            for event in events:
                if "error" in event:
                    return str(event["error"])
                text = event.get("stream") or ""
                if "status" in event and not event.get("progressDetail"):
                    text = f"{event.get('id', '')} {event['status']}".strip() + "\n"
                running.watch(text)
                log.write(text)
        return None

    def find(self, folder: Path, lock: Lock, settings: BuildSettings) -> Built | None:  # noqa: ARG002
        """The image that an earlier build of exactly this lock left."""
        from envsolve.render import image_name

        return self._built(image_name(lock))

    def _built(self, tag: str, labels: Mapping[str, str] | None = None) -> Built | None:
        """The image of that name, if it has these labels."""
        from docker.errors import ImageNotFound

        with self._lost():
            try:
                image = self._client().images.get(tag)
            except ImageNotFound:
                return None
        if any(image.labels.get(name) != value for name, value in (labels or {}).items()):
            return None
        return Built(self.name, str(image.id), tag, size=image.attrs.get("Size"))

    def image_id(self, reference: str) -> str | None:
        """The id of an image that is here."""
        from docker.errors import ImageNotFound

        with self._lost():
            try:
                return str(self._client().images.get(reference).id)
            except ImageNotFound:
                return None

    def _machine(self) -> str:
        """What the engine calls its processor: it may be another machine than this one."""
        with self._lost():
            return str(self._client().info().get("Architecture") or os.uname().machine)

    def make(
        self, context: Path, tag: str, arguments: Mapping[str, str], settings: BuildSettings, log: BuildLog
    ) -> str | None:
        """Build any folder under a name. The engine's message when it failed."""
        return self._classic(context, tag, {}, arguments, settings, log)

    def saved(self, references: Sequence[str], piece: int) -> Iterator[bytes]:
        """Images and their names as one archive, in pieces."""
        api = self._client().api
        address = f"{api.base_url}/v{api.api_version}/images/get"
        with self._lost(), api.get(address, params={"names": list(references)}, stream=True, timeout=None) as answer:
            answer.raise_for_status()
            pieces = answer.iter_content(piece)
            while (part := next(pieces, None)) is not None:
                yield part

    def load(self, archive: Path) -> None:
        """The images of an archive, under their names."""
        with archive.open("rb") as file, self._lost():
            self._client().images.load(file)

    def labelled(self, lock: Lock) -> Built | None:
        """An image of this lock under whatever name: plain ``docker build`` leaves the label, not the name."""
        from envsolve.render import lock_hash

        with self._lost():
            label = f"dev.envsolve.lock-hash=sha256:{lock_hash(lock)}"
            for image in self._client().images.list(filters={"label": label}):
                if image.tags:
                    return Built(self.name, str(image.id), str(image.tags[0]), size=image.attrs.get("Size"))
        return None

    def base_digest(self, reference: str) -> str | None:
        """The registry's digest of an image that is here, or None: for the lock to pin."""
        from docker.errors import ImageNotFound

        with self._lost():
            try:
                image = self._client().images.get(reference)
            except ImageNotFound:
                return None
        # An image may have been pushed to other repositories too: their digests are not to be had under this name.
        repository = reference.rpartition(":")[0] if ":" in reference.rpartition("/")[2] else reference
        known = (str(d).rpartition("@") for d in image.attrs.get("RepoDigests") or ())
        return min((digest for name, _, digest in known if name == repository), default=None)

    # -- running -------------------------------------------------------------------------------------------------

    def run_probe(
        self,
        built: Built,
        lock: Lock,
        folder: Path,  # noqa: ARG002 (the probe is in the image)
        talk: Talk,
        *,
        arguments: Sequence[str] = (),
        timeout_s: float = PROBE_TIMEOUT_S,
    ) -> ProbeRun:
        """Run the image's probe: no network, nothing writable but /tmp, no capabilities, not root.

        Raises NotReadyError (``no-gpu-runtime``) when a GPU stack gets no GPU from the engine.
        """
        from docker.errors import DockerException

        started = time.monotonic()
        with self._lost():
            try:
                container = self._create(built, lock, arguments)
            except DockerException as error:
                raise start_failure(str(error), self.name, built.tag or built.subject) from error
            try:
                try:
                    container.start()
                except DockerException as error:
                    raise start_failure(str(error), self.name, built.tag or built.subject) from error
                code, timed_out = self._wait(container, timeout_s)
                stdout = container.logs(stdout=True, stderr=False).decode("utf-8", "replace")
                stderr = container.logs(stdout=False, stderr=True, tail=400).decode("utf-8", "replace")
            finally:
                with suppress(DockerException, OSError):
                    container.remove(force=True, v=True)
        for line in stderr.splitlines():
            talk.log(line)
        return ProbeRun(code, stdout, stderr[-base.STDERR_TAIL :], time.monotonic() - started, timed_out)

    def _create(self, built: Built, lock: Lock, arguments: Sequence[str]) -> Container:
        from envsolve.render import UID

        return self._client().containers.create(
            built.subject,
            # A vendor's entry point prints a banner on stdout, where the report belongs
            entrypoint=[lock.image.executable],
            command=[f"{PROBE_DIRECTORY}/smoke.py", *arguments],
            environment={"HOME": _SCRATCH, "PYTHONDONTWRITEBYTECODE": "1"} | processor_settings(),
            user=f"{UID}:{UID}",
            working_dir=_SCRATCH,
            network_mode="none",
            read_only=True,
            tmpfs={_SCRATCH: _MOUNT},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            shm_size="1g",
            device_requests=self._gpus() if lock.stack.device == "gpu" else None,
            labels={"dev.envsolve.probe": "1"},
        )

    def _gpus(self, names: Sequence[str] = ()) -> list[Any]:
        """How this engine is asked for these GPUs, or for all."""
        from envsolve.engine.gpu import requests

        return requests(self.name, self._client().info(), names)

    def _wait(self, container: Container, timeout_s: float) -> tuple[int, bool]:
        import requests

        try:
            return int(container.wait(timeout=timeout_s)["StatusCode"]), False
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError):
            container.reload()
            if container.status != "running":  # it ended just now
                return int(container.wait(timeout=_CALL_TIMEOUT_S)["StatusCode"]), False
            container.kill()
            return 137, True

    # -- the connection ------------------------------------------------------------------------------------------

    def _client(self) -> DockerClient:
        if self._connected is None:
            import docker

            with self._lost():
                if os.environ.get("DOCKER_HOST") == self.endpoint.address:  # with its certificates
                    ssh = self.endpoint.address.startswith("ssh://")
                    self._connected = docker.from_env(timeout=_CALL_TIMEOUT_S, use_ssh_client=ssh)
                else:
                    self._connected = docker.DockerClient(
                        base_url=self.endpoint.address, version="auto", timeout=_CALL_TIMEOUT_S
                    )
        return self._connected

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """Whatever the SDK raises beyond what was expected: the engine went away or refused."""
        import docker.errors
        import requests
        import urllib3.exceptions

        try:
            yield
        except EnvsolveError:
            raise
        # urllib3's own: the SDK reads a build's events past requests
        except (
            docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError,
        ) as error:  # fmt: skip
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise  # our own disk's, where the log goes
            refused = "permission denied" in str(error).lower()
            raise NotReadyError(
                f"{self.endpoint} at {self.endpoint.address} stopped answering, or refused",
                facts=(str(error)[:300],),
                hints=(f"{self.name} info", "envsolve doctor"),
                code="engine-permission" if refused else "engine-lost",
            ) from error


class _Running:
    """The container of the classic build's step that runs now."""

    id: str | None = None

    def watch(self, text: str) -> None:
        """Read the builder's own words for it."""
        words = text.split()
        if words[:3] == ["--->", "Running", "in"]:
            self.id = words[3]
        elif words[:3] == ["Removing", "intermediate", "container"]:
            self.id = None


@contextmanager
def _ended_early(client: DockerClient) -> Iterator[_Running]:
    """When a build is left early, remove the container that runs: the engine notices the closed connection itself,
    but not always, and not at once.
    """
    running = _Running()
    try:
        yield running
    except BaseException:
        if running.id is not None:
            with suppress(Exception):
                client.api.remove_container(running.id, force=True, v=True)
        raise
