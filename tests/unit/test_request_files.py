"""Files as words: what each kind asks for, where it stands, and what is told of the rest."""

import pytest

from envsolve.config import defaults
from envsolve.errors import Exit, UsageError
from envsolve.matrices import load
from envsolve.names import can_meet
from envsolve.request import build_request

FACTS = load()


def ask(*words, **options):
    """The request and what was told."""
    told = []
    return build_request([str(word) for word in words], FACTS, tell=told.append, **options), told


def error(*words, **options):
    with pytest.raises(UsageError) as caught:
        ask(*words, **options)
    assert caught.value.exit_code == Exit.USAGE
    return caught.value


def asked(request):
    return [(t.name, t.specifier, (t.origin or "").rpartition("/")[2]) for t in request.targets]


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


# -- environment.yml -----------------------------------------------------------------------------------------

EXPORTED = """\
name: old
channels:
  - pytorch
  - defaults
dependencies:
  - _libgcc_mutex=0.1=main
  - python=3.6.5=hc3d631a_2
  - cudatoolkit=8.0=3
  - tensorflow-gpu=1.4.1=0
  - tensorflow-base=1.4.1=py36hd00c003_2
  - keras-gpu=2.0.8=py36h0585f72_0
  - conda-forge::numpy=1.14
  - py-opencv=3.4.2=py36hb342d67_1
  - pytables
  - libpng=1.6.37=hbc83047_0
  - unheard-of=1.0=h7b6447c_1
  - h5py >=2.7,<3
  - pip=19.1=py36_0
  - pip:
    - tqdm==4.19  # bars
    - enum34; python_version < "3"
    - git+https://github.com/openai/baselines.git@abc#egg=baselines
prefix: /home/somebody
"""


def test_an_environment_file(write):
    request, told = ask(write("environment.yml", EXPORTED))
    assert asked(request) == [
        ("tensorflow", "==1.4.1.*", "environment.yml:9"),
        ("tensorflow", "==1.4.1.*", "environment.yml:10"),
        ("keras", "==2.0.8.*", "environment.yml:11"),
        ("numpy", "==1.14.*", "environment.yml:12"),
        ("opencv-python", "==3.4.2.*", "environment.yml:13"),
        ("tables", "", "environment.yml:14"),
        ("h5py", ">=2.7,<3", "environment.yml:17"),
        ("tqdm", "==4.19.0", "environment.yml:20"),
    ]
    assert request.python == "3.6"
    assert any("environment.yml:8: cudatoolkit=8.0=3: CUDA 8.0 is not asked for" in note for note in told)
    assert any("environment.yml:22: git+https" in note for note in told)
    assert told[-1].endswith("left out, being conda's own: _libgcc_mutex, libpng and pip")
    assert any(
        "environment.yml:16: unheard-of=1.0=h7b6447c_1 is left out: its build is for no Python" in n for n in told
    )
    assert len(told) == 4


@pytest.mark.parametrize(
    ("text", "specifier"),
    [
        ("numpy", ""),
        ("numpy=1.14", "==1.14.*"),
        ("numpy=1.14.*", "==1.14.*"),
        ("numpy=1.14.2=py36_0", "==1.14.2.*"),
        ("numpy==1.14", "==1.14.0"),
        ("numpy==1.14.2", "==1.14.2"),
        ("numpy 1.14.2", "==1.14.2"),
        ("numpy 1.14.* py36_0", "==1.14.*"),
        ("numpy>=1.11,<1.15", ">=1.11,<1.15"),
        ("numpy >= 1.11 , < 1.15", ">=1.11,<1.15"),
        ("numpy!=1.14.*", "!=1.14.*"),
        ("numpy[version='>=1.14']", ">=1.14"),
        ("conda-forge/linux-64::numpy=1.14", "==1.14.*"),
        ("numpy=1.14.0rc1", "==1.14.0rc1"),
        ("NumPy=*", ""),
    ],
)
def test_a_conda_match(write, text, specifier):
    request, _ = ask(write("env.yaml", f'dependencies: [tensorflow=1.4, "{text}"]\n'))
    assert (request.targets[1].name, request.targets[1].specifier) == ("numpy", specifier)


@pytest.mark.parametrize(
    ("written", "python"),
    [
        ("python=3.6", "3.6"),
        ("python=3.6.5", "3.6"),
        ("python==3.6.5", "3.6"),
        ("python 3.6.*", "3.6"),
        ("python>=3.6,<3.7", "3.6"),
        ("python", None),
        ("python=3", None),
        ("python>=3.5", None),
    ],
)
def test_the_python_of_an_environment(write, written, python):
    request, told = ask(write("environment.yml", f'dependencies: [tensorflow=1.4, "{written}"]\n'))
    assert request.python == python
    assert bool(told) == (python is None and written != "python")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("dependencies: [tensorflow=1.4\n", "unreadable-file", ":2: "),
        ("a: b\n", "unreadable-file", "no list of dependencies"),
        ("", "unreadable-file", "no list of dependencies"),
        ("- a\n", "unreadable-file", "no list of dependencies"),
        ("dependencies: [" * 3000, "unreadable-file", "nested too deeply"),
        ("dependencies:\n  - tensorflow=1.4\n  - numpy=1.14|1.15\n", "bad-requirement", ":3)"),
        ("dependencies:\n  - tensorflow=1.4\n  - '???'\n", "bad-requirement", ":3)"),
        ("dependencies:\n  - pytorch=0.0.1\n", "unknown-version", "pytorch=0.0.1 ("),
        ("dependencies:\n  - numpy\n", "no-framework", "environment.yml"),
        ("dependencies:\n  - pip:\n    - https://x.invalid/keras.zip\n", "no-framework", ""),
        ("dependencies:\n  - pip:\n    - git+https://x.invalid/me/keras.git@2.0.8\n", "bad-requirement", ":3: git"),
    ],
)
def test_an_environment_that_cannot_be_read(write, text, code, says):
    caught = error(write("environment.yml", text))
    assert caught.code == code
    assert says in caught.message


def test_a_file_that_is_too_large_or_no_file(write, tmp_path):
    assert error(write("environment.yml", "#" * (1 << 19))).code == "unreadable-file"
    assert error(write("requirements.txt", "#" * (1 << 21))).code == "unreadable-file"
    assert error("/dev/zero.yml").code == "no-such-file"
    assert error(write("requirements.txt", "-r /dev/zero\n")).code == "unreadable-file"
    assert error("x" * 5000 + ".yml").code == "unreadable-file"
    assert error(write("notes.txt", "tf\n")).code == "unknown-file"


def test_a_tree_of_includes_is_bounded(write):
    for number in range(20):
        write(f"requirements-{number}.txt", f"-r requirements-{number + 1}.txt\n" * 2)
    assert error(write("requirements-20.txt", "tf\n").with_name("requirements-0.txt")).code == "unreadable-file"


# -- Dockerfiles ---------------------------------------------------------------------------------------------

DOCKERFILE = """\
ARG TF=1.4.0
FROM python:3.6-slim AS base
# comment
RUN apt-get update && apt-get install -y git \\
    # between
    && pip install --no-cache-dir -i https://x.invalid/simple tensorflow==${TF} \\
       keras==2.0.8 "numpy<1.17" > /dev/null 2>&1
COPY deps/requirements.txt /tmp/
RUN python3.6 -m pip install -r /tmp/requirements.txt; pip3 install -U pip $EXTRA
RUN ["pip", "install", "h5py==2.7.1"]
RUN bash -c "conda install -y -c conda-forge pytables=3.4 libpng"
RUN git clone https://x.invalid/y.git && pip install ./y && pip uninstall -y theano
"""


def test_a_dockerfile(write):
    write("deps/requirements.txt", "scipy==1.0\n")
    request, told = ask(write("Dockerfile", DOCKERFILE))
    assert asked(request) == [
        ("tensorflow", "==1.4.0", "Dockerfile:6"),
        ("keras", "==2.0.8", "Dockerfile:7"),
        ("numpy", "<1.17", "Dockerfile:7"),
        ("scipy", "==1.0.0", "requirements.txt:1"),
        ("h5py", "==2.7.1", "Dockerfile:10"),
        ("tables", "==3.4.*", "Dockerfile:11"),
    ]
    assert request.python == "3.6"
    said = [note.rpartition("/Dockerfile")[2] for note in told]
    assert said == [
        ":9: $EXTRA cannot be read without a shell, and is left out",
        ":12: ./y is no release of a package, and is left out",
        ": left out, being conda's own: libpng",
    ]


@pytest.mark.parametrize(
    ("line", "wanted", "python"),
    [
        ("FROM tensorflow/tensorflow:1.4.0-gpu-py3", ("tensorflow", "==1.4.0"), None),
        ("FROM docker.io/tensorflow/tensorflow:1.12.0", ("tensorflow", "==1.12.0"), None),
        ("FROM --platform=linux/amd64 pytorch/pytorch:1.1.0-cuda10.0-cudnn7.5-devel", ("torch", "==1.1.0"), None),
        ("FROM tensorflow/tensorflow:latest-gpu", ("tensorflow", ""), None),
        ("FROM tensorflow/tensorflow@sha256:00", ("tensorflow", ""), None),
        ("FROM library/python:2.7.18\nRUN pip install tensorflow==1.4", ("tensorflow", "==1.4.0"), "2.7"),
        ("FROM x\nRUN pip3.5 install tensorflow==1.4", ("tensorflow", "==1.4.0"), "3.5"),
        ("FROM x\nRUN sudo -H pip install tensorflow>=1.4", ("tensorflow", ">=1.4"), None),
        ("FROM x\nENV V 1.4.1\nRUN pip install tensorflow==$V", ("tensorflow", "==1.4.1"), None),
        ("FROM x\nENV A=1 V='1.4.1'\nRUN pip install tensorflow==${V:-1.0}", ("tensorflow", "==1.4.1"), None),
        ("FROM x\nRUN pip install tensorflow==${V:-1.4.1}", ("tensorflow", "==1.4.1"), None),
        ("FROM x\nRUN <<EOF\npip install tensorflow==1.4\nEOF", ("tensorflow", "==1.4.0"), None),
        ("FROM x\nRUN if true; then pip install tensorflow==1.4; fi", ("tensorflow", "==1.4.0"), None),
        ("FROM x\nRUN conda create -n y python=3.5 tensorflow=1.4", ("tensorflow", "==1.4.*"), "3.5"),
        ("FROM x\nRUN conda run -n y pip install tensorflow==1.4", ("tensorflow", "==1.4.0"), None),
        (
            "FROM x\nRUN pip install https://x.invalid/linux/gpu/tensorflow_gpu-1.4.0-cp35-cp35m-linux_x86_64.whl",
            ("tensorflow", "==1.4.0"),
            "3.5",
        ),
    ],
)
def test_a_line_of_a_dockerfile(write, line, wanted, python):
    request, _ = ask(write("Dockerfile.gpu", line + "\n"))
    (target,) = request.targets
    assert (target.name, target.specifier, request.python) == (*wanted, python)


def test_of_several_stages_those_count_that_the_last_is_made_of(write):
    request, _ = ask(
        write(
            "Dockerfile",
            "FROM python:3.7 AS unused\nRUN pip install tensorflow==1.15\n"
            "FROM python:3.5 AS wheels\nRUN pip install h5py==2.7.1\n"
            "FROM python:3.6 AS base\nRUN pip install tensorflow==1.4\n"
            "FROM base\nCOPY --from=wheels /x /x\nRUN pip install keras==2.0.8\n",
        )
    )
    assert [t.name for t in request.targets] == ["h5py", "tensorflow", "keras"]
    assert request.python == "3.6"


def test_the_file_of_an_image_is_never_read_from_this_machine(write, tmp_path):
    outside = write("outside/requirements.txt", "numpy==1.0\n")
    dockerfile = write("here/Dockerfile", f"FROM x\nRUN pip install tensorflow==1.4 -r {outside} -r ../outside/x.txt\n")
    request, told = ask(dockerfile)
    assert [t.name for t in request.targets] == ["tensorflow"]
    assert [note.partition(": ")[2].endswith("is not here, so what it asks for is not known") for note in told] == [
        True
    ] * 2


def test_an_environment_that_a_dockerfile_creates(write):
    write("environment.yml", "dependencies: [python=3.6, keras=2.0.8]\n")
    request, _ = ask(write("Dockerfile", "FROM x\nCOPY environment.yml /\nRUN conda env create -f /environment.yml\n"))
    assert asked(request) == [("keras", "==2.0.8.*", "environment.yml:1")]
    assert request.python == "3.6"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "unreadable-file", "no FROM"),
        ("FROM x\nRUN pip install tensorflow==$VERSION\n", "bad-requirement", "Dockerfile:2: tensorflow==$VERSION"),
        ("FROM x\nRUN pip install git+https://x.invalid/Theano/Theano.git\n", "bad-requirement", "Dockerfile:2: git"),
        ("FROM x\nRUN pip install -e keras\n", "bad-requirement", "Dockerfile:2: keras"),
        ("FROM x\nRUN pip install tensorfow==1.4\n", "unknown-framework", "Dockerfile:2)"),
        ("FROM x\nRUN pip install keras \\\n  tensorflow==1.4.7\n", "unknown-version", "Dockerfile:3)"),
        ("FROM x\nRUN pip install 'keras=2.0.8'\n", "bad-requirement", "Dockerfile:2)"),
        ("FROM x\nRUN make\n", "no-framework", ""),
    ],
)
def test_a_dockerfile_that_cannot_be_read(write, text, code, says):
    caught = error(write("Dockerfile", text))
    assert caught.code == code
    assert says in caught.message


# -- toml ----------------------------------------------------------------------------------------------------


def test_a_pyproject(write):
    request, told = ask(
        write(
            "pyproject.toml",
            '[project]\nname = "x"\nrequires-python = "==3.6.*"\ndependencies = [\n  "tensorflow==1.4",\n'
            '  "numpy<1.17; python_version < \'3.7\'",\n  "me @ git+https://x.invalid/me/me.git",\n]\n',
        )
    )
    assert [t[:2] for t in asked(request)] == [("tensorflow", "==1.4.0"), ("numpy", "<1.17")]
    assert [t.origin.rpartition(":")[2] for t in request.targets] == ["5", "6"]
    assert request.python == "3.6"
    assert len(told) == 1
    assert "pyproject.toml:7: me @ git" in told[0]


def test_a_configuration_means_what_the_command_line_means(write):
    write("deps/requirements.txt", "keras==2.0\n")
    request, told = ask(
        write("envsolve.toml", 'targets = [\n "tf==1.4",\n "deps/requirements.txt",\n]\npython = "3.6"\ngpu = "none"\n')
    )
    assert asked(request) == [("tensorflow", "==1.4.*", "envsolve.toml:2"), ("keras", "==2.0.0", "requirements.txt:1")]
    assert request.python == "3.6"
    assert told
    assert "gpu: read only from the current folder" in told[0]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("pyproject.toml", "[project]\nname = 'x'\n", "unreadable-file"),
        ("pyproject.toml", "[project]\ndependencies = 'x'\n", "bad-configuration"),
        ("pyproject.toml", "[project\n", "bad-configuration"),
        ("pyproject.toml", "[project]\ndependencies = ['tf==1.4']\nrequires-python = 'new'\n", "bad-python"),
        ("envsolve.toml", "targets = ['tf=1.4']\n", "bad-requirement"),
        ("envsolve.toml", "targets = ['envsolve.toml']\n", "bad-configuration"),
        ("envsolve.toml", "targets = ['missing.yml']\n", "no-such-file"),
        ("envsolve.toml", "targets = ['tf']\npython = 'three'\n", "bad-python"),
        ("envsolve.toml", "x = " + "[" * 5000, "bad-configuration"),
    ],
)
def test_a_toml_that_cannot_be_read(write, name, text, code):
    assert error(write(name, text)).code == code


# -- together ------------------------------------------------------------------------------------------------


def test_contradictions_name_both_places(write):
    requirements = write("requirements.txt", "h5py\n\ntensorflow==1.4\n")
    environment = write("environment.yml", "dependencies:\n  - tensorflow=1.8\n")
    caught = error(requirements, environment)
    assert caught.code == "contradictory-targets"
    assert f"tensorflow==1.4 ({requirements}:3) and tensorflow=1.8 ({environment}:2) contradict" in caught.message
    assert caught.hints == (f"correct it in {requirements}:3", f"correct it in {environment}:2")
    caught = error("tf==1.5", requirements)
    assert f"tf==1.5 and tensorflow==1.4 ({requirements}:3)" in caught.message


def test_the_two_that_contradict_are_named_and_not_a_third():
    caught = error("tf>=1.2", "tf==1.4", "tf==1.5")
    assert caught.message.startswith("tf==1.4 and tf==1.5 contradict")


def test_one_python_for_all(write):
    one = write("a/environment.yml", "dependencies: [tensorflow=1.4, python=3.6]\n")
    other = write("b/Dockerfile", "FROM python:3.5\n")
    caught = error(one, other)
    assert caught.code == "contradictory-python"
    assert f"python=3.6 ({one}:1) and FROM python:3.5 ({other}:1)" in caught.message
    caught = error(one, python="2.7")
    assert f"--python 2.7 and python=3.6 ({one}:1)" in caught.message
    assert ask(one, python="3.6.9")[0].python == "3.6.9"
    # What only follows from a wheel's name gives way.
    wheel = write(
        "c/Dockerfile", "FROM x\nRUN pip install https://x.invalid/tensorflow-1.4.0-cp27-none-linux_x86_64.whl\n"
    )
    assert ask(wheel)[0].python == "2.7"
    assert ask(wheel, python="3.6")[0].python == "3.6"
    assert ask(wheel, other)[0].python == "3.5"


def test_a_condition_is_judged_by_the_python_of_another_file(write):
    requirements = write("requirements.txt", "futures; python_version < '3'\n")
    environment = write("environment.yml", "dependencies: [tensorflow=1.4, python=2.7]\n")
    assert [t.name for t in ask(requirements, environment)[0].targets] == ["futures", "tensorflow"]
    assert error(requirements, "tf").code == "python-needed"


@pytest.mark.parametrize(
    ("word", "targets"),
    [
        ("tf-gpu==1.4", [("tensorflow", "==1.4.*")]),
        ("tf_gpu", [("tensorflow", "")]),
        ("tfgpu>=1.4,<1.8", [("tensorflow", ">=1.4,<1.8")]),
        ("tensorflow_gpu==1.4", [("tensorflow", "==1.4.*")]),
        ("pytorch==1.4", [("torch", "==1.4.*")]),
        ("keras-theano==2.0.8", [("keras", "==2.0.8"), ("theano", "")]),
        ("keras-theano", [("keras", ""), ("theano", "")]),
        ("Keras-TF==2.0", [("keras", "==2.0.*"), ("tensorflow", "")]),
        ("keras-tensorflow>=2.0,<2.2", [("keras", ">=2.0,<2.2"), ("tensorflow", "")]),
        ("tf.keras", [("tensorflow", "")]),
    ],
)
def test_words_people_use(word, targets):
    request, _ = ask(word)
    assert [(t.name, t.specifier) for t in request.targets] == targets
    again, _ = ask(*(t.text for t in request.targets))
    assert again.targets == request.targets


def test_tf_keras_has_no_release_of_its_own():
    caught = error("tf.keras==2.2.4", gpu=("none",))
    assert caught.code == "bad-requirement"
    assert caught.hints == ("envsolve tensorflow --gpu none",)


@pytest.mark.parametrize(
    ("specifiers", "meet"),
    [
        (("==1.14.*", ">=1.14.3"), True),
        (("==1.14.*", "<1.14"), False),
        (("==1.14.*", "==1.15.*"), False),
        (("<1.10", ">=1.16"), False),
        (("<1.17",), True),
        ((">1.14", "<1.15"), True),
        (("!=1.14.*", ">=1.14,<1.15"), False),
        (("!=1.14.*", ">=1.14,<1.16"), True),
        (("~=1.4", "<1.4"), False),
        (("==1.0rc1", ">=1.0rc1"), True),
        (("==1.4.0", ">1.4"), False),
    ],
)
def test_whether_companions_can_meet(specifiers, meet):
    assert can_meet(specifiers) is meet
    assert can_meet(reversed(specifiers)) is meet


def test_targets_of_the_configuration_know_their_place(write, tmp_path):
    write("requirements.txt", "keras==2.0.8\n")
    place = write("pyproject.toml", '[tool.envsolve]\ntargets = [\n  "tf=1.4",\n  "requirements.txt",\n]\n')
    words = defaults(tmp_path)["targets"]
    assert list(words) == ["tf=1.4", str(tmp_path / "requirements.txt")]
    with pytest.raises(UsageError) as caught:
        build_request(words, FACTS)
    assert f"tf=1.4 ({place}:3)" in caught.value.message
    assert caught.value.hints == (f"write tf==1.4 in {place}:3",)
