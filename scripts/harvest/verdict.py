"""One CUDA, cuDNN and NCCL version from all the evidence of a wheel, the strongest first."""

from __future__ import annotations

from collections.abc import Mapping

_CUDA = (
    "version_py", "cuda_config_h", "cuda_build_info", "cuda_paddle", "cuda_package_info", "cuda_wheel_json",
    "dep_cuda-runtime", "dep_cuda-toolkit",
)  # fmt: skip
_CUDNN = ("cudnn_built", "dep_cudnn", "cudnn_imm", "cudnn_paddle", "cudnn_wheel_json", "cudnn_build_info", "cudnn_path")
_LAST_CUDNN = ("cudnn_config_h", "cudnn_soname")
_NCCL = ("dep_nccl", "nccl_imm", "nccl_wheel_json")
_SONAME_EXACT = 11
"""Up to CUDA 10.2 the run-time library's soname names the release; from 11 on only the major."""


def cuda(evidence: Mapping[str, str]) -> str | None:
    """The CUDA release compiled against; only its major where no more is known."""
    for name in _CUDA:
        if value := evidence.get(name):
            return value
    soname = evidence.get("cudart_soname", "")
    if "." in soname and int(soname.partition(".")[0]) < _SONAME_EXACT:
        return soname
    for name in ("nvcc", "cuda_from_ptx_isa"):
        if value := evidence.get(name):
            return value.lstrip("V")
    return soname.partition(".")[0] or None


def cudnn(evidence: Mapping[str, str]) -> str | None:
    """The cuDNN release compiled against; only its major where no more is known."""
    values = [evidence[name] for name in _CUDNN if evidence.get(name)]
    exact = next((value for value in values if "." in value), None)
    last = (evidence[name] for name in _LAST_CUDNN if evidence.get(name))
    return exact or next(iter(values), None) or next(last, None)


def nccl(evidence: Mapping[str, str]) -> str | None:
    """The NCCL release compiled against."""
    return next((evidence[name] for name in _NCCL if evidence.get(name)), None)
