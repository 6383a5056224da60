"""Locks to render: made by hand, one for each way a Dockerfile can go."""

from datetime import date

from envsolve.models import FrameworkChoice, Gpu, Host, Lock, LockedImage, LockedPackage, Request, Stack, Target


def package(name, version="1.0", phase="wheel", level=0, sha256=None):
    return LockedPackage(
        name=name,
        version=version,
        filename=f"{name}-{version}.tar.gz",
        sha256=sha256 or (name.encode().hex() * 64)[:64],
        size=1,
        upload_time="2017-12-08T00:00:00Z",
        phase=phase,
        level=level,
        reason="asked for",
    )


TOOLS = tuple(
    package(*row, phase="build") for row in (("pip", "21.3.1"), ("setuptools", "38.4.0"), ("wheel", "0.30.0"))
)

USUAL = (*TOOLS, package("numpy", "1.14.0"), package("tensorflow", "1.4.1"))


def lock(
    *,
    image=None,
    packages=USUAL,
    frameworks=(("tensorflow", "tensorflow", "1.4.1"),),
    python="3.6",
    device="cpu",
    **more,
):
    stack = Stack(
        device=device,
        verdict="native",
        frameworks=tuple(
            FrameworkChoice(name=name, package=project, version=version, origin="index", build=f"{project}=={version}")
            for name, project, version in frameworks
        ),
        python=python,
        os="debian11",
        glibc="2.31",
        base_image="python:3.6.15-slim-bullseye",
    )
    fields = {
        "envsolve": "0.1.0",
        "facts": "0" * 12,
        "request": Request(targets=(Target(text="tf==1.4.1", name="tensorflow", specifier="==1.4.1"),)),
        "host": Host(),
        "stack": stack,
        "as_of": date(2018, 1, 7),
        "as_of_reason": "30 days after",
        "python_full": "3.6.15",
        "image": image or LockedImage(reference="python:3.6.15-slim-bullseye", last_seen="2022-01-12"),
        "packages": tuple(packages),
    }
    return Lock(**{**fields, **more})


SLIM = lock()
DIGEST = lock(image=LockedImage(reference="python:3.6.15-slim-bullseye", digest="sha256:" + "ab" * 32))
THEANO = lock(
    image=LockedImage(reference="python:2.7.18-slim-buster", last_seen="2020-04-20", archive="archive.debian.org"),
    packages=(
        *TOOLS,
        package("numpy", "1.12.1"),
        package("theano", "0.9.0", "sdist"),
        package("keras", "1.2.2", "sdist", 1),
    ),
    frameworks=(("theano", "Theano", "0.9.0"), ("keras", "Keras", "1.2.2")),
    python="2.7",
    system_packages=("g++", "libopenblas-dev"),
    build_packages=("g++", "make"),
    environment={"THEANO_FLAGS": "blas.ldflags=-lopenblas,base_compiledir=/tmp/theano", "KERAS_BACKEND": "theano"},
)
CUDA = lock(
    image=LockedImage(
        reference="ubuntu:16.04",
        last_seen="2023-01-01",
        python_packages=("python3", "python3-pip"),
        executable="python3.5",
        default_index="https://index.example.org/simple",
        apt_keys=(
            "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu1604/x86_64/3bf863cc.pub",
            "https://developer.download.nvidia.com/compute/machine-learning/repos/ubuntu1604/x86_64/7fa2af80.pub",
        ),
        apt_repositories=(
            "deb https://developer.download.nvidia.com/compute/cuda/repos/ubuntu1604/x86_64 /",
            "deb https://developer.download.nvidia.com/compute/machine-learning/repos/ubuntu1604/x86_64 /",
        ),
        apt_pins=("cuda-cublas-8-0=8.0.61.2-1", "libcudnn6=6.0.21-1+cuda8.0"),
        environment={"LD_LIBRARY_PATH": "/usr/local/cuda-8.0/lib64", "NVIDIA_VISIBLE_DEVICES": "all"},
    ),
    python="3.5",
    device="gpu",
    host=Host(gpus=(Gpu(name="b", compute_capability="6.1"), Gpu(name="a", compute_capability="10.0"))),
)
VENDOR = lock(
    image=LockedImage(
        reference="nvcr.io/nvidia/tensorflow:23.03-tf1-py3",
        preinstalled=("nvidia-tensorflow==1.15.5+nv23.03",),
        holds=("h5py", "numpy", "six"),
    ),
    packages=(*TOOLS, package("keras", "2.3.1"), package("lasagne", "0.1", "sdist")),
    frameworks=(("tensorflow", "nvidia-tensorflow", "1.15.5+nv23.03"), ("keras", "keras", "2.3.1")),
    python="3.8",
    device="gpu",
)
ALL = {"slim": SLIM, "digest": DIGEST, "theano": THEANO, "cuda": CUDA, "vendor": VENDOR}
