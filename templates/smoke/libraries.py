# ---- the driver's and CUDA's libraries, as this process really has them -------------------------------------

LIBRARIES = ("libcuda", "libcudart", "libcublas", "libcudnn", "libcufft", "libcurand", "libcusolver", "libcusparse", "libnccl")


def mapped_libraries(text):
    """The NVIDIA libraries in the text of /proc/PID/maps: name, version as the file's name has it, path."""
    found = {}
    for line in text.splitlines():
        fields = line.split(None, 5)
        path = fields[5].strip() if len(fields) == 6 else ""
        path = path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path
        # Wheels add a part of the file's hash: libcudart-1b201d85.so.10.1
        match = re.match(r"(lib[a-z]+)(?:-[0-9a-f]+)?\.so(?:\.([0-9.]+))?$", path.rsplit("/", 1)[-1])
        if match and match.group(1) in LIBRARIES:
            found[path] = {"name": match.group(1), "version": match.group(2), "path": path}
    return [found[path] for path in sorted(found, key=lambda path: (found[path]["name"], path))]


def cudnn_version(number):
    """'7.6.5' for 7605, and '9.1.0' for 90100."""
    big = 10000 if number >= 90000 else 1000
    return "%d.%d.%d" % (number // big, number % big // 100, number % 100)


def cuda_version(number):
    """'10.1' for 10010."""
    return "%d.%d" % (number // 1000, number % 1000 // 10)


def ask_library(row):
    """The row with the version that the library itself tells, where it tells one."""
    try:
        if row["name"] == "libcudnn":
            function = ctypes.CDLL(row["path"]).cudnnGetVersion
            function.restype = ctypes.c_size_t
            return dict(row, version=cudnn_version(function()))
        functions = {"libcudart": "cudaRuntimeGetVersion", "libcuda": "cuDriverGetVersion"}
        if row["name"] in functions:
            number = ctypes.c_int(0)
            failed = getattr(ctypes.CDLL(row["path"]), functions[row["name"]])(ctypes.byref(number))
            if not failed and row["name"] == "libcuda":
                return dict(row, cuda=cuda_version(number.value))
            if not failed:
                return dict(row, version=cuda_version(number.value))
    except (AttributeError, EnvironmentError, ValueError):
        pass
    return row


def older(found, wanted):
    """Whether a version is of another major release than the wanted one, or of an earlier minor one."""
    ours, theirs = ([int(part) for part in re.findall("[0-9]+", text)[:2]] for text in (found, wanted))
    return ours[:1] != theirs[:1] or (len(ours) == len(theirs) == 2 and ours < theirs)


def library_faults(rows, expect):
    """What is wrong about the libraries of a process that is to compute on a GPU, one sentence each."""
    faults = []
    if not any(row["name"] == "libcuda" for row in rows):
        faults.append("the driver's libcuda is not in this process, so nothing ran on a GPU")
    for name, wanted in (("libcudart", expect.get("cuda")), ("libcudnn", expect.get("cudnn"))):
        here = [row for row in rows if row["name"] == name and row["version"]]
        if len(set(row["version"] for row in here)) > 1:
            versions = ", ".join("%s (%s)" % (row["version"], row["path"]) for row in here)
            faults.append("two versions of %s in one process: %s" % (name, versions))
        for row in here:
            if wanted and older(row["version"], wanted):
                faults.append("%s %s was solved, but %s is %s" % (name, wanted, row["path"], row["version"]))
    return faults


def check_libraries(probe):
    """The libraries that are really loaded are of the versions that were solved; on GPU stacks only."""
    with open("/proc/self/maps") as stream:
        probe.libraries = [ask_library(row) for row in mapped_libraries(stream.read())]
    faults = library_faults(probe.libraries, probe.expect)
    if faults:
        raise Wrong("; ".join(faults))
    said = ["%s %s" % (row["name"], row["version"] or "of no version") for row in probe.libraries]
    missing = sorted({"libcudart", "libcudnn"} - set(row["name"] for row in probe.libraries))
    return ", ".join(said) + "".join("; no %s in the process: linked in, or not used" % name for name in missing)


def driver_version(rows):
    """The driver's version as NVIDIA's management library tells it, else as libcuda's file is called."""
    try:
        library, text = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.create_string_buffer(96)
        if not library.nvmlInit_v2():
            failed = library.nvmlSystemGetDriverVersion(text, 96)
            library.nvmlShutdown()
            if not failed:
                return text.value.decode("ascii", "replace")
    except (AttributeError, EnvironmentError):
        pass
    return ([row["version"] for row in rows if row["name"] == "libcuda"] or [None])[0]


def visible_gpus(path):
    """The GPUs that CUDA shows to this process, asked of the libcuda that is in it: name and compute capability."""
    library, count, found = ctypes.CDLL(path), ctypes.c_int(0), []
    failed = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if failed:
        raise Wrong("the driver refuses: CUDA error %d" % failed)
    for at in range(count.value):
        device, text, major, minor = ctypes.c_int(0), ctypes.create_string_buffer(96), ctypes.c_int(0), ctypes.c_int(0)
        library.cuDeviceGet(ctypes.byref(device), at)
        library.cuDeviceGetName(text, 96, device)
        library.cuDeviceGetAttribute(ctypes.byref(major), 75, device)  # COMPUTE_CAPABILITY_MAJOR, _MINOR
        library.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        name = text.value.decode("utf-8", "replace")
        found.append({"name": name, "capability": "%d.%d" % (major.value, minor.value)})
    return found


def check_driver(probe):
    """The driver and the GPUs that this process really has."""
    with open("/proc/self/maps") as stream:
        rows = [row for row in mapped_libraries(stream.read()) if row["name"] == "libcuda"]
    probe.driver = driver_version(rows)
    if not rows:
        raise Wrong("the driver's libcuda is not in this process, so nothing ran on a GPU")
    probe.gpus = visible_gpus(rows[0]["path"])
    if not probe.gpus:
        raise Wrong("driver %s, and no GPU that it shows" % probe.driver)
    names = ["%s (capability %s)" % (row["name"], row["capability"]) for row in probe.gpus]
    return "driver %s: %s" % (probe.driver, ", ".join(names))
