"""Reading wheels: real libraries are compiled here, and every fact must come back out; broken files end in one line."""

import json
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from harvest_world import CODE, CUDNN, INIT, compile_library, container, entry, wheel

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from harvest import constants, cpu, elf, fatbin, strings, zipdir  # noqa: E402
from harvest.errors import UnreadableError  # noqa: E402
from harvest.facts import facts_of  # noqa: E402
from harvest.plan import read_settings  # noqa: E402
from harvest.record import Reading, read_cheap, read_full, same  # noqa: E402
from harvest.transport import Local, Pieces, join_spans  # noqa: E402

SETTINGS = read_settings(ROOT / "scripts" / "inputs" / "harvest.json")
READING = Reading(SETTINGS.texts, SETTINGS.ptx_isa)
MANY = container(
    entry("sm_35"),
    entry("sm_70"),
    entry("compute_70", (6, 3)),
    entry("sm_90", flags=0x100000),
    entry("sm_52", flags=0x2000),
)
NAMES = ("compute_70", "sm_35", "sm_52", "sm_70", "sm_90a")
SINGLE = container(entry("sm_35"))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library with GPU code in nvcc's section, in its link input, and elsewhere."""
    sections = {
        ".nv_fatbin": MANY * 3 + SINGLE,
        "__nv_relfatbin": container(entry("sm_20"), entry("compute_20", (6, 0))),
        ".rodata.mlir": SINGLE,
    }
    folder = tmp_path_factory.mktemp("library")
    return compile_library(folder, CODE, section=sections, options=("-Wl,-z,execstack", "-Wl,-soname,libx.so.3"))


@pytest.fixture(scope="module")
def packed(library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    bundled = compile_library(folder, CUDNN, name="libcudnn.so.7", section={".nv_fatbin": SINGLE})
    members = {
        "x/main.so": library,
        "x/libs/libcudnn.so.7": bundled,
        "x/notes.txt": b"sm_10 " * 1000,
        "x/data.so": b"no library at all",
        "torch/version.py": b"__version__ = '1'\ncuda = '11.7'\n",
    }
    return wheel(folder / "x-1-cp38-cp38-manylinux1_x86_64.whl", members)


def test_elf_says_what_a_library_needs(library):
    found = elf.parse(library)
    assert "libm.so.6" in found.needed
    assert found.soname == "libx.so.3"
    assert found.stack == "flag"
    assert all(v[0].isdigit() for v in found.versions["GLIBC"])


def test_a_library_without_executable_stack(tmp_path):
    assert elf.parse(compile_library(tmp_path, CODE)).stack is None


def test_readelf_agrees_on_needed_versions(library, tmp_path):
    if shutil.which("readelf") is None:
        pytest.skip("no readelf on this machine")
    (tmp_path / "x.so").write_bytes(library)
    said = subprocess.run(["readelf", "-dVW", tmp_path / "x.so"], capture_output=True, text=True, check=True).stdout
    found = elf.parse(library)
    assert all(f"[{name}]" in said for name in found.needed)
    assert {w for w in said.split() if w.startswith("GLIBC_")} == {f"GLIBC_{v}" for v in found.versions["GLIBC"]}


def test_containers_are_kept_apart(library):
    code = fatbin.read(elf.parse(library))
    assert code.sets == {NAMES: 3, ("sm_35",): 1}
    assert code.elsewhere == {("sm_35",): 1}
    assert code.ptx_isa == {"6.3": 3}
    assert code.link_isa == {"6.0": 1}


def test_the_deciding_set_is_no_union():
    sets = Counter({("sm_35",): 90, ("compute_50", "sm_35", "sm_50"): 5, ("sm_35", "sm_50"): 6, ("sm_70", "sm_80"): 9})
    assert fatbin.own(sets) == (["sm_35", "sm_50"], ["compute_50"])
    assert fatbin.own(sets, ["sm_70", "sm_80"]) == (["sm_70", "sm_80"], [])
    assert fatbin.own(Counter({("sm_37",): 2})) == (["sm_37"], [])
    assert fatbin.own(Counter()) is None


@pytest.mark.parametrize(
    ("names", "capability", "how"),
    [
        (("sm_35",), "3.7", {"native": 100}),
        (("sm_37",), "3.5", {"none": 100}),
        (("compute_35",), "8.6", {"jit": 100}),
        (("sm_90a",), "9.0", {"native": 100}),
        (("sm_90a",), "10.0", {"none": 100}),
        (("compute_90a",), "10.0", {"none": 100}),
        (("sm_100f",), "10.0", {"native": 100}),
    ],
)
def test_coverage(names, capability, how):
    assert fatbin.coverage(Counter({names: 4}))[capability] == how


def test_a_magic_in_code_is_no_container(tmp_path):
    broken = [
        MANY[:40],  # cut off
        MANY[:4] + b"\x07\x00" + MANY[6:],  # another version
        MANY[:8] + struct.pack("<Q", 1 << 40) + MANY[16:],  # longer than the file
        MANY[:16] + b"\x09\x00" + MANY[18:],  # an entry of no known kind
    ]
    for content in broken:
        parsed = elf.parse(compile_library(tmp_path, CODE, section={".nv_fatbin": content + b"\0" * 16 + SINGLE}))
        assert fatbin.read(parsed).sets == {("sm_35",): 1}


def test_nvcc_writes_what_is_read(tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on this machine")
    (tmp_path / "k.cu").write_text("__global__ void k(float *x) { *x *= 2; }\nvoid f(float *x) { k<<<1, 1>>>(x); }\n")
    arches = ("-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90a,code=sm_90a",
              "-gencode=arch=compute_90,code=compute_90")  # fmt: skip
    out = tmp_path / "k.so"
    made = subprocess.run(["nvcc", "-shared", "-Xcompiler", "-fPIC", "-cudart", "none", *arches, "-o", out,
                           tmp_path / "k.cu"], capture_output=True, text=True, check=False)  # fmt: skip
    if made.returncode:
        pytest.skip(f"nvcc does not compile here: {made.stderr.strip().splitlines()[-1:]}")
    code = fatbin.read(elf.parse(out.read_bytes()))
    assert ("compute_90", "sm_80", "sm_90a") in code.sets


def test_versions_in_machine_code(tmp_path):
    linked = elf.parse(compile_library(tmp_path, CUDNN))
    assert constants.cudnn_linked(linked) == 7605
    assert constants.nccl_linked(linked) == 2708
    compiled = elf.parse(compile_library(tmp_path, INIT, language="cpp", name="init.so"))
    assert constants.cudnn_compiled(compiled) == "8.1.0"
    zero = INIT.replace("source.minor = 1; source.patch = 0;", "source.minor = 0; source.patch = 5;")
    at_once = zero.replace("source.major = 8; source.minor = 0;", "*(volatile long *)&source.major = 8;")
    for number, code in enumerate((zero, at_once)):
        again = elf.parse(compile_library(tmp_path, code, language="cpp", name=f"init{number}.so"))
        assert constants.cudnn_compiled(again) == "8.0.5"
    assert constants.cudnn_compiled(linked) is None
    assert [constants.version_of(n) for n in (7605, 5110, 8907, 90100, 21602)] == [
        "7.6.5", "5.1.10", "8.9.7", "9.1.0", "2.16.2",
    ]  # fmt: skip


def test_words_in_read_only_data(library):
    assert strings.dlopened(elf.parse(library)) == {"libcuda.so.1"}
    assert strings.is_cuda("libcudart-f7fdd8d7.so.9.0")
    assert not strings.is_cuda("libgomp.so.1")
    assert strings.soname_versions(["libcudart.so.11", "libcudart.so.11.0", "libcuda.so"]) == {"cudart": "11.0"}


def test_a_name_behind_a_jump_table(tmp_path):
    """As in TensorFlow 1.4's NCCL operations: no NUL stands before the name."""
    words = b"\xd4\x05\xfa\xfflibnvidia-ml.so\0 libnvrtc.so\0open libcudnn.so.7\0\1libnvrtc.so.\0"
    parsed = elf.parse(compile_library(tmp_path, CODE, section={".rodata.names": words}))
    assert strings.dlopened(parsed) == {"libcuda.so.1", "libnvidia-ml.so"}


def test_architectures_that_a_library_states(tmp_path):
    code = 'const char a[] = "sm_37 sm_50 compute_50"; const char b[] = "not sm_10 sm_11"; const char c[] = "sm_70";'
    assert strings.stated_architectures(elf.parse(compile_library(tmp_path, code))) == {"sm_37 sm_50 compute_50"}


@pytest.mark.parametrize(("option", "avx"), [("-mno-avx", False), ("-mavx", True)])
def test_instructions_are_counted(tmp_path, option, avx):
    code = "volatile double a, b, c; double f(void) { return a + b + c + a * b; }"
    counts = cpu.count(elf.parse(compile_library(tmp_path, code, options=(option,))))
    assert counts["avx"] is avx
    assert (counts["vex"] > 0) is avx
    assert (counts["sse"] > 0) is not avx


def test_a_wheel_is_read_whole(packed):
    record = read_full(Local(packed), READING)
    assert record["read"] == "full"
    assert (record["cuda"], record["cudnn"], record["nccl"]) == ("11.7", "8.5.0.96", "2.7.8")
    assert (record["sass"], record["ptx"]) == (["sm_35", "sm_52", "sm_70", "sm_90a"], ["compute_70"])
    assert record["own_sets"] == {" ".join(NAMES): 3, "sm_35": 1}
    assert record["elsewhere_sets"] == {"sm_35": 1}
    assert record["exec_stack"] == {"main.so": "flag"}
    assert record["bundled_libs"] == ["libcudnn.so.7"]
    assert record["bundled_gpu_code"]["libcudnn.so.7"]["cudnn_version"] == 7605
    assert record["evidence"]["cudnn_imm"] == "7.6.5"
    assert record["evidence"]["cuda_from_ptx_isa"] == "10.0"
    assert "libcudnn.so.7" not in record["needed"]
    assert record["dlopen_sonames"] == ["libcuda.so.1"]
    assert "unreadable" not in record
    assert json.loads(json.dumps(record)) == record


def test_a_cheap_pass_knows_no_machine_code(packed):
    record, members, _ = read_cheap(Local(packed), READING)
    assert record["read"] == "cheap"
    assert record["cuda"] == "11.7"
    assert "sass" not in record
    assert len(members) == 6
    facts = facts_of(record)
    assert facts["cuda"] == "11.7"
    assert {facts[k] for k in ("sass", "ptx", "glibc", "glibcxx", "glibc_below") if facts[k] is not None} == set()
    assert facts["cpu"] is None


def test_facts_of_a_record(packed):
    facts = facts_of(read_full(Local(packed), READING) | {"size": 7})
    assert facts["sass"] == ["3.5", "5.2", "7.0", "9.0a"]
    assert facts["ptx"] == ["7.0"]
    assert facts["cudnn"] == "8.5"
    assert facts["glibc_below"] == "2.41"
    assert facts["cpu"] == []
    assert facts["size"] == 7


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        ({"cuda": "12"}, "cuda", None),
        ({"cuda": "9.0.176"}, "cuda", "9.0"),
        ({"cudnn": "7"}, "cudnn", None),
        ({"read": "full", "sass": []}, "sass", []),
        ({}, "sass", None),
        ({"exec_stack": {}}, "glibc_below", None),
        ({"cpu": {"avx": True}}, "cpu", ["avx"]),
        ({"sass": ["sm_120a"]}, "sass", ["12.0a"]),
    ],
)
def test_unknown_stays_unknown(record, field, value):
    assert facts_of(record)[field] == value


def test_same_libraries_need_no_second_read(packed):
    full = read_full(Local(packed), READING) | {"package": "a", "version": "1", "sha256": "f", "files": [1], "size": 9}
    cheap = read_cheap(Local(packed), READING)[0]
    base = {"package": "b", "version": "1", "sha256": "e", "files": [], "size": 8}
    record = same(base | cheap, full)
    assert record["read"] == "same"
    assert record["same_as"] == "a==1 f"
    assert record["sass"] == full["sass"]
    assert (record["package"], record["sha256"], record["files"], record["size"]) == ("b", "e", [], 8)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_read_as_zipfile_reads_it(tmp_path, library, method):
    path = wheel(tmp_path / "a.whl", {"a.so": library, "b.txt": b"x" * 100000, "c/d": b""}, method)
    members = zipdir.read_directory(Local(path))
    with zipfile.ZipFile(path) as archive:
        assert {m.name: zipdir.read_member(Local(path), m) for m in members} == {
            i.filename: archive.read(i) for i in archive.infolist()
        }


def test_zip64(tmp_path):
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as archive, archive.open("x.txt", "w", force_zip64=True) as member:
        member.write(b"text")
    member = zipdir.read_directory(Local(path))[0]
    assert zipdir.read_member(Local(path), member) == b"text"


def test_more_members_than_the_tail_holds(tmp_path):
    path = wheel(tmp_path / "a.whl", {f"folder/{n:05}.txt": b"" for n in range(3000)})
    assert len(zipdir.read_directory(Local(path))) == 3001


def test_pieces_give_the_planned_ranges(tmp_path):
    content = random.Random(1).randbytes(100_000)
    (tmp_path / "f").write_bytes(content)
    source = Local(tmp_path / "f")
    with Pieces(source, [(70_000, 90_000), (10, 50_000)], piece=777) as pieces:
        assert b"".join(pieces.stream(100, 300)) == content[100:300]
        assert b"".join(pieces.stream(1000, 50_000)) == content[1000:50_000]
        assert b"".join(pieces.stream(70_001, 90_000)) == content[70_001:90_000]
        with pytest.raises(UnreadableError, match="ends before"):
            list(pieces.stream(90_000, 90_001))
    with Pieces(source, [(0, 5000)], piece=1000) as pieces:
        list(pieces.stream(4000, 5000))
        with pytest.raises(UnreadableError, match="not planned"):
            list(pieces.stream(0, 10))
    assert join_spans([(5, 9), (0, 4), (2000, 2001)], gap=100) == [(0, 9), (2000, 2001)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b"",
        lambda b: b"not a zip file",
        lambda b: b[: len(b) // 2],
        lambda b: b[:-30],
        lambda b: b[100:],
        lambda b: b[:2000] + b"\xff" * 64 + b[2064:],
        lambda b: b.replace(b"PK\x03\x04", b"PK\x09\x09"),
    ],
    ids=["empty", "text", "half", "no end", "no start", "broken data", "no headers"],
)
def test_a_broken_wheel_is_one_line(packed, tmp_path, spoil):
    (tmp_path / "b.whl").write_bytes(spoil(packed.read_bytes()))
    with pytest.raises(UnreadableError) as caught:
        read_full(Local(tmp_path / "b.whl"), READING)
    assert "\n" not in str(caught.value)


def test_no_broken_byte_ends_in_a_traceback(packed, library, tmp_path):
    dice = random.Random(3)
    whole = packed.read_bytes()
    outcomes = Counter()
    for number in range(150):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 4, 40))):
            # Half of the hits where the structure is: the directory at the end.
            start = len(damaged) - 700 if dice.random() < 0.5 else 0
            damaged[dice.randrange(start, len(damaged))] = dice.randrange(256)
        path = tmp_path / "d.whl"
        path.write_bytes(damaged[: len(damaged) - (number % 3 == 0) * dice.randrange(200)])
        try:
            read_full(Local(path), READING)
            outcomes["read"] += 1
        except UnreadableError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 50


def test_a_library_with_broken_headers_is_noted_and_the_rest_read(library, tmp_path):
    """As UPX and its like leave them: the zip is sound, the ELF is not."""
    dice = random.Random(4)
    for number in range(60):
        damaged = bytearray(library)
        for _ in range(30):
            damaged[dice.randrange(4, 600) if number % 2 else dice.randrange(4, len(damaged))] = dice.randrange(256)
        path = wheel(tmp_path / "u.whl", {"good.so": library, "broken.so": bytes(damaged), "cut.so": library[:200]})
        record = read_full(Local(path), READING)
        assert 3 in {record[sets].get(" ".join(NAMES)) for sets in ("own_sets", "other_sets") if sets in record}
        assert any(line.startswith("cut.so: ") for line in record["unreadable"])
