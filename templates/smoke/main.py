# ---- putting it together -----------------------------------------------------------------------------------

PROBES = (
    ("tensorflow", probe_tensorflow), ("theano", probe_theano), ("keras", probe_keras), ("torch", probe_torch),
    ("mxnet", probe_mxnet), ("chainer", probe_chainer), ("cntk", probe_cntk), ("jax", probe_jax),
    ("onnxruntime", probe_onnxruntime), ("theano-pymc", probe_theano),
)  # fmt: skip
# What is computed through another framework's checks, on which device.
BENEATH = {"jaxlib": ("jax", ("cpu", "gpu")), "cupy": ("chainer", ("gpu",))}
OWN_LINES, OWN_SECONDS = 20, 600


def from_lock(lock):
    """The expectation that a lock document holds."""
    stack = lock["stack"]
    others = [row["name"] for row in stack["frameworks"] if row["name"] != "keras"]
    backend = others[0] if len(others) == 1 else None
    vendor = lock.get("image", {}).get("preinstalled", ())
    versions = {}
    for row in stack["frameworks"]:
        whole = row["version"]
        # A vendor's build calls itself by the release that it is of, and its image keeps its own build tools.
        versions[row["name"]] = whole.split("+")[0] if row["package"] + "==" + whole in vendor else whole
    packages = [row for row in lock["packages"] if not (vendor and row["phase"] == "build")]
    return {
        "python": stack["python"], "device": stack["device"],
        "frameworks": versions, "packages": dict((row["name"], row["version"]) for row in packages),
        "backend": lock.get("environment", {}).get("KERAS_BACKEND") or backend,
        "compiler": any(name.startswith("g++") for name in lock.get("system_packages", ())),
        "cuda": stack.get("cuda"), "cudnn": stack.get("cudnn"),
    }  # fmt: skip


def read_expectation(arguments):
    """The expectation from the command line, or from the lock beside this file."""
    given = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "envsolve.lock")
    if not given.lstrip().startswith("{"):
        with open(given, "rb") as stream:
            given = stream.read().decode("utf-8")
    document = json.loads(given)
    return from_lock(document) if "stack" in document else document


def scratch_folder():
    """A temporary folder whose files may be loaded as code (Theano's are), where there is one."""
    candidates = [os.environ.get("TMPDIR"), "/tmp", "/var/tmp", os.getcwd()]
    usable = [folder for folder in candidates if folder and os.access(folder, os.W_OK | os.X_OK)]
    free = [folder for folder in usable if not os.statvfs(folder).f_flag & 8]  # 8: ST_NOEXEC
    return tempfile.mkdtemp(prefix="envsolve-smoke-", dir=(free or usable or [None])[0])


def isolate(scratch):
    """Keep the person's own configuration and caches out of it, both ways."""
    home = os.environ.get("HOME")
    if home and os.access(home, os.W_OK):  # machine code that the driver compiles is worth keeping
        os.environ.setdefault("CUDA_CACHE_PATH", os.path.join(home, ".nv", "ComputeCache"))
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCH_HOME"):
        os.environ[name] = scratch
    os.environ["KERAS_HOME"] = os.path.join(scratch, ".keras")
    flags = [flag for flag in os.environ.get("THEANO_FLAGS", "").split(",") if flag.strip()]
    flags = [flag for flag in flags if not flag.strip().startswith(("base_compiledir", "compiledir="))]
    os.environ["THEANO_FLAGS"] = ",".join(flags + ["base_compiledir=" + os.path.join(scratch, "theano")])
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]


def run(expect, scratch):
    """Every check that the expectation asks for -> the report."""
    start, probe = clock(), Probe(expect, scratch)
    if expect.get("interpreted"):
        run_interpreted(probe)
        return probe.report(clock() - start)
    frameworks = set(expect.get("frameworks") or {})
    if "keras" in frameworks and expect.get("backend"):
        frameworks.add(expect["backend"])
    probe.check("python", check_python, probe)
    probe.check("packages", check_packages, probe)
    probe.check("numpy", check_numpy, probe)
    for name, function in PROBES:
        if name in frameworks and not (name == "keras" and expect.get("backend") == "theano"):
            function(probe)
    for name in sorted(frameworks - set(name for name, _ in PROBES)):
        run_unknown(probe, name, frameworks)
    if probe.want == "gpu":
        probe.check("driver", check_driver, probe)
        probe.check("libraries", check_libraries, probe)
    if expect.get("own"):
        probe.check("own check " + expect["own"]["name"], run_own, probe, expect["own"])
    return probe.report(clock() - start)


def run_unknown(probe, name, frameworks):
    """A framework without checks of its own: that it imports, and a word that no more was proven."""
    module = name.replace("-", "_")
    if not probe.check(name + " import", lambda: __import__(module) and None):
        return
    said = getattr(sys.modules[module], "__version__", None)
    if said is not None:  # where it is silent, its metadata was compared
        probe.check(name + " version", check_version, probe, name, said)
    through, devices = BENEATH.get(name, (None, ()))
    if through not in frameworks or probe.want not in devices:
        probe.unproven.append("%s was imported; nothing that it computes was compared" % name)


def run_own(probe, own):
    """The user's own check, {"name", "script": zlib, base64}, in a process of its own: passed when it ends with 0."""
    folder = tempfile.mkdtemp(dir=probe.scratch)
    path = os.path.join(folder, os.path.basename(own["name"]) or "check.py")
    with open(path, "wb") as stream:
        stream.write(zlib.decompress(base64.b64decode(own["script"].encode("ascii"))))
    with open(os.path.join(folder, ".said"), "w+b") as said:
        child = subprocess.Popen([sys.executable, "-B", path], cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        late, until = False, clock() + (own.get("seconds") or OWN_SECONDS)
        while child.poll() is None and not late:
            time.sleep(0.05)
            late = clock() > until
        if late:
            child.kill()
        code = child.wait()
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").splitlines()
    sys.stderr.write("".join(line + "\n" for line in lines))
    probe.own = {"name": own["name"], "exit_code": None if late else code, "lines": lines[-OWN_LINES:]}
    last = [line.strip() for line in lines if line.strip()][-1:]
    detail = "; it last said: ".join(["did not end in time" if late else "exit code %d" % code] + last)
    if late or code:
        raise Wrong(detail)
    return detail


def main(arguments):
    """Run, print, and leave without the frameworks' own farewells."""
    try:
        expect, scratch = read_expectation(arguments), scratch_folder()
    except (EnvironmentError, KeyError, TypeError, ValueError) as problem:
        sys.exit("smoke: nothing to compare with, or nowhere to write: %s: %s" % (type(problem).__name__, problem))
    result = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        isolate(scratch)
        report = run(expect, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stderr.flush()
    os.write(result, (json.dumps(report, sort_keys=True) + "\n").encode("utf-8"))
    os._exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
