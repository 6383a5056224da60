"""How an engine is asked for GPUs: by CDI where it knows NVIDIA's devices, else by a device request; which of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from envsolve.errors import UsageError

if TYPE_CHECKING:
    from docker.types import DeviceRequest

CAPABILITIES = ("compute", "utility")
"""What of the driver computing needs: CUDA itself, and NVML for who looks. Graphics and video are not asked for."""

_ALL = "all"
_VENDOR = "nvidia.com/gpu"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# An index, GPU:INSTANCE of MIG, or what `nvidia-smi -L` prints; the MIG names before driver 470 hold two more numbers
_NAME = re.compile(rf"\d{{1,3}}(?::\d{{1,2}})?|GPU-{_UUID}|MIG-{_UUID}|MIG-GPU-{_UUID}/\d{{1,2}}/\d{{1,2}}")


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """``--gpu`` as typed (repeated, or with commas) -> device names; empty: all of them.

    Raises UsageError (``bad-gpu``) for what is no index and no UUID.
    """
    words = [word.strip() for name in names or () for word in name.split(",")]
    if words in ([], [_ALL], ["auto"]):
        return ()
    for text in words:
        if not _NAME.fullmatch(text):
            raise UsageError(
                f"--gpu {text}: not an index, and not a UUID of a GPU or of a MIG instance",
                hints=("nvidia-smi -L   # lists both", "--gpu 0"),
                code="bad-gpu",
            )
    return tuple(dict.fromkeys(words))


def requests(engine: str, info: Mapping[str, Any], names: Sequence[str] = ()) -> list[DeviceRequest]:
    """The device requests for these GPUs, or for all. ``info`` is what the engine says of itself."""
    from docker.types import DeviceRequest

    found = (str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ())
    # podman knows no other way, and does not say which devices it has
    if engine == "podman" or any(name.startswith(_VENDOR) for name in found):
        return [DeviceRequest(driver="cdi", device_ids=[f"{_VENDOR}={name}" for name in names or (_ALL,)])]
    wanted = {"device_ids": list(names)} if names else {"count": -1}
    return [DeviceRequest(**wanted, capabilities=[["gpu", *CAPABILITIES]])]
