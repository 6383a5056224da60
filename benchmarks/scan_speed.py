"""How long ``envsolve scan`` takes for a repository of a thousand real sources, against parsing the same files.

The tree: sources of the running interpreter's standard library and packages (those that use NumPy and the like among
them), each fifth a small training script on a framework. The peer, in the same run: ``ast.parse`` of every file, the
least that any reader of Python sources does. CPU seconds of this process and its children, the best of some runs; each
run is a cold process.

    python benchmarks/scan_speed.py [--files 1000] [--runs 3] [--most RATIO]

Exit: 1 when the scan takes more than RATIO times the peer.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

RESOLVER = Path(__file__).resolve().parents[1] / "resolver"
_LARGEST = 200_000
_SCRIPT = """import numpy as np
import tensorflow as tf
from keras.layers import Dense, Convolution2D
from keras.models import Sequential


def build(width={number}):
    x = tf.placeholder(tf.float32, [None, width])
    with tf.variable_scope('layer{number}'):
        y = tf.contrib.layers.fully_connected(x, 10)
    model = Sequential()
    model.add(Convolution2D(32, 3, 3, border_mode='same', input_shape=(width, width, 1)))
    model.add(Dense(10, init='uniform'))
    model.compile(loss='mse', optimizer='sgd')
    model.fit(np.zeros((4, width)), np.zeros((4, 10)), nb_epoch=3)
    return tf.concat(0, [x, y]), tf.train.AdamOptimizer(1e-3).minimize(y)


if __name__ == '__main__':
    print 'width', build()
"""
_PEER = """import ast, sys, pathlib, warnings
warnings.simplefilter('ignore')
for path in sorted(pathlib.Path(sys.argv[1]).rglob('*.py')):
    try:
        ast.parse(path.read_bytes())
    except SyntaxError:
        pass
"""


def sources() -> Iterator[Path]:
    """Sources of this interpreter, packages first, in a fixed order."""
    for kind in ("purelib", "stdlib"):
        root = Path(sysconfig.get_paths()[kind])
        for path in sorted(root.rglob("*.py")):
            if kind == "purelib" or "site-packages" not in path.parts:
                yield path


def plant(tree: Path, count: int) -> int:
    """Write the tree -> its size in bytes."""
    size, found = 0, sources()
    for number in range(count):
        target = tree / f"part{number // 50:02}" / f"module{number}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        if number % 5 == 0:
            target.write_text(_SCRIPT.format(number=number))
        else:
            source = next((p for p in found if 0 < p.stat().st_size < _LARGEST), None)
            if source is None:
                return size
            shutil.copyfile(source, target)
        size += target.stat().st_size
    return size


def cost(command: list[str]) -> float:
    """CPU seconds of one cold process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(RESOLVER)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Plant, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=float)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        size = plant(tree, options.files)
        count = sum(1 for _ in tree.rglob("*.py"))
        peer = min(cost([sys.executable, "-c", _PEER, str(tree)]) for _ in range(options.runs))
        command = [sys.executable, "-m", "envsolve", "scan", str(tree), "--json", "--quiet"]
        scan = min(cost(command) for _ in range(options.runs))
    print(f"{count} sources, {size / 1e6:.1f} MB; CPU seconds, best of {options.runs}, Python {sys.version.split()[0]}")
    print(f"ast.parse of each   {peer:6.2f}")
    print(f"envsolve scan       {scan:6.2f}")
    print(f"ratio               {scan / peer:6.2f}")
    return int(options.most is not None and scan / peer > options.most)


if __name__ == "__main__":
    sys.exit(main())
