# ---- what is installed -------------------------------------------------------------------------------------


def normal(name):
    """A project's canonical name."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def plain(version):
    """A version without its local part, final zeros and spelling of the rest: '1.4.0-rc0' is '1.4rc0'."""
    release, rest = re.match(r"v?([0-9.]*)(.*)", str(version).split("+")[0].strip().lower()).groups()
    while release.rstrip(".").endswith(".0"):
        release = release.rstrip(".")[:-2]
    return release.rstrip(".") + re.sub("[-_.]", "", rest)


def installed():
    """{project: version} by the metadata on sys.path; the first found counts, as for imports."""
    found = {}
    for folder in sys.path:
        for entry in sorted(os.listdir(folder)) if folder and os.path.isdir(folder) else ():
            path = os.path.join(folder, entry)
            if entry.endswith(".dist-info"):
                path = os.path.join(path, "METADATA")
            elif entry.endswith(".egg-info"):
                path = os.path.join(path, "PKG-INFO") if os.path.isdir(path) else path
            if path.endswith(("METADATA", "PKG-INFO", ".egg-info")) and os.path.isfile(path):
                with open(path, "rb") as stream:
                    head = stream.read(65536).decode("utf-8", "replace").splitlines()
                fields = dict(line.split(": ", 1) for line in reversed(head) if line.startswith(("Name: ", "Version: ")))
                if "Name" in fields and "Version" in fields:
                    found.setdefault(normal(fields["Name"]), fields["Version"].strip())
    return found


def check_python(probe):
    """The interpreter is of the minor version that was solved."""
    running, wanted = "%d.%d" % sys.version_info[:2], probe.expect.get("python") or ""
    if wanted and wanted != running and not (wanted + ".").startswith(running + "."):
        raise Wrong("Python %s was solved, but %s runs" % (wanted, running))
    if struct.calcsize("P") != 8:
        raise Wrong("a 64-bit Python is needed, this one has %d bits" % (8 * struct.calcsize("P")))
    return "Python %s at %s" % (sys.version.split()[0], sys.executable)


def check_packages(probe):
    """Every locked package is installed, at its version."""
    found, wanted = installed(), probe.expect.get("packages") or {}
    probe.versions.update((name, found[normal(name)]) for name in wanted if normal(name) in found)
    wrong = []
    for name in sorted(wanted):
        have = found.get(normal(name))
        if have is None:
            wrong.append("%s %s is not installed" % (name, wanted[name]))
        elif plain(have) != plain(wanted[name]):
            wrong.append("%s is %s, not %s" % (name, have, wanted[name]))
    if wrong:
        raise Wrong("; ".join(wrong))
    return "%d packages as locked" % len(wanted)


def check_numpy(probe):
    """NumPy's BLAS against integers, whose products are exact in any order, and NumPy's own loops."""
    import numpy as np

    probe.versions["numpy"] = np.__version__
    random = np.random.RandomState(0)
    a, b = random.randint(-4, 5, (400, 500)), random.randint(-4, 5, (500, 300))
    exact = np.einsum("ij,jk->ik", a, b)
    for dtype in ("float32", "float64"):
        if not (np.dot(a.astype(dtype), b.astype(dtype)) == exact).all():
            raise Wrong("a %s product of small integers is not exact: this BLAS computes wrongly here" % dtype)
    a, b = matrices()
    return compare(np.dot(a, b), product(a, b), TOLERANCE["cpu"], "float32 product")


def check_version(probe, name, version):
    """The module that was imported says the version that was solved."""
    probe.versions[name] = str(version)
    wanted = (probe.expect.get("frameworks") or {}).get(name)
    said = plain(version)
    # A packager's post-release is often not in what the module says of itself; the metadata was compared whole.
    if wanted and said != plain(wanted) and said != plain(wanted.split(".post")[0]):
        raise Wrong("%s %s was solved, but %s was imported" % (name, wanted, version))
    return "%s %s" % (name, version)
