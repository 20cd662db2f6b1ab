"""Checkpoints and weights as somebody hostile would make them, and a process that reads them.

python hostile.py FOLDER NAME ...: makes each, reads it as the package does and prints, as JSON,
{name: [the one line it was refused with, MiB that the process grew by, seconds]}.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from attention_in_motion.training import descent, store
from attention_in_motion.training.oscillator import OscillatorRun

RUN = OscillatorRun(seeds=(0, 1), steps=20, batch=16)
CANARY = "executed"  # a file of this name in the folder says that something was


class Call:
    """Pickles as the call function(*arguments)."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def good() -> dict:
    """What a checkpoint of RUN holds."""
    model = RUN.model()
    adamw = descent.build_optimiser(model, "adamw", 1e-3, 2e-3, 0.0)
    descent.fit(model, RUN.loss, RUN.batches(), steps=1)
    state = {"step": 1, "losses": torch.zeros(20, 2), "snapshots": {}}
    return {"model": model.state_dict(), "optimiser": adamw.state_dict(), **state}


def saved(whole: object) -> bytes:
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(whole, file)
    return file.getvalue()


def rezipped(change: Callable[[dict], None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A good checkpoint with its members changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(good()))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def pickled(program: bytes) -> bytes:
    """A good checkpoint whose data.pkl is this program."""
    return rezipped(lambda members: members.update({"archive/data.pkl": program}))


def tensor(numel: int, offset: int, size: tuple, stride: tuple) -> bytes:
    """The pickle of a tensor that reaches wherever it wants in a storage of `numel` numbers."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if thing is here else None

    file, here = io.BytesIO(), object()
    arguments = (here, offset, size, stride, False, None)
    Pickler(file, 2).dump({"model": Call(torch._utils._rebuild_tensor_v2, *arguments)})
    return pickled(file.getvalue())


def touch(folder: Path) -> str:
    return f"touch {folder / CANARY}"


def bit_of(whole: bytes, member: str) -> bytes:
    """One bit of a member turned round: PyTorch's reader does not look at the checksum."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith(member))
        at = whole.index(archive.read(info), info.header_offset) + info.file_size // 2
    return whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]


GADGETS = {
    "os.system": lambda f: Call(os.system, touch(f)),
    "eval": lambda f: Call(eval, f"open({str(f / CANARY)!r}, 'w')"),
    "exec": lambda f: Call(exec, f"open({str(f / CANARY)!r}, 'w')"),
    "open": lambda f: Call(open, str(f / CANARY), "w"),
    "getattr": lambda f: Call(getattr, Call(__import__, "os"), "system"),
    "mkdir": lambda f: Call(os.mkdir, str(f / CANARY)),
    "torch.load": lambda f: Call(torch.load, str(f / "other")),
    "memory": lambda f: Call(bytearray, 10**10),
    "import": lambda f: Call(__import__, "this"),
}
BYTES = b"\x80\x02"  # protocol 2
CHECKPOINTS: dict[str, Callable[[Path], bytes]] = {
    **{f"gadget {n}": lambda f, g=g: saved({"model": g(f)}) for n, g in GADGETS.items()},
    **{f"bare pickle {n}": lambda f, g=g: pickle.dumps(g(f)) for n, g in GADGETS.items()},
    "name from the stack": lambda f: pickled(b"\x80\x04\x8c\x02os\x8c\x06system\x93."),
    "name by INST": lambda f: pickled(BYTES + b"(S'" + touch(f).encode() + b"'\nios\nsystem\n."),
    "name by extension": lambda f: pickled(BYTES + b"\x82\x01."),
    "storage too short": lambda f: tensor(4, 0, (10**6,), (1,)),
    "storage of a terabyte": lambda f: tensor(2**38, 0, (2**38,), (1,)),
    "negative offset": lambda f: tensor(4, -4, (2,), (1,)),
    "negative stride": lambda f: tensor(4, 0, (4,), (-1,)),
    "stride beyond": lambda f: tensor(4, 0, (4,), (2**40,)),
    "size overflows": lambda f: tensor(4, 0, (2**40, 2**40), (1, 1)),
    "text of 4 GiB": lambda f: pickled(BYTES + b"X\xff\xff\xff\xff" + b"a" * 9 + b"."),
    "text of 2**62": lambda f: pickled(b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"."),
    "number of 2 GiB": lambda f: pickled(BYTES + b"\x8b\xff\xff\xff\x7f."),
    "a million levels": lambda f: pickled(BYTES + b"]" * 10**6 + b"a" * 10**6 + b"."),
    "a million marks": lambda f: pickled(BYTES + b"(" * 10**6 + b"."),
    "memo far away": lambda f: pickled(BYTES + b"Nr\xff\xff\xff\x7f0j\xff\xff\xff\x7e."),
    "empty pickle": lambda f: pickled(b""),
    "endless pickle": lambda f: pickled(BYTES + b"N0" * 10**5),
    "zip bomb": lambda f: rezipped(
        lambda m: m.update({"archive/data/0": bytes(2**26)}), zipfile.ZIP_DEFLATED
    ),
    "compressed by bzip2": lambda f: rezipped(lambda m: None, zipfile.ZIP_BZIP2),
    "traversal": lambda f: rezipped(lambda m: m.update({"archive/../../executed": b"x"})),
    "absolute path": lambda f: rezipped(lambda m: m.update({f"{f}/{CANARY}": b"x"})),
    "two folders": lambda f: rezipped(lambda m: m.update({"other/data.pkl": b"N."})),
    "no pickle": lambda f: rezipped(lambda m: m.pop("archive/data.pkl")),
    "a tensor gone": lambda f: rezipped(lambda m: m.pop("archive/data/0")),
    "a tensor cut": lambda f: rezipped(lambda m: m.update({"archive/data/0": b"1234"})),
    "no members": lambda f: rezipped(dict.clear),
    "empty file": lambda f: b"",
    "text": lambda f: b"hello\n" * 1000,
    "half of it": lambda f: saved(good())[: len(saved(good())) // 2],
    "all but the end": lambda f: saved(good())[:-1],
    "a bit of a tensor": lambda f: bit_of(saved(good()), "data/0"),
    "a bit of the pickle": lambda f: bit_of(saved(good()), "data.pkl"),
    "another model": lambda f: saved(good() | {"model": {"W": torch.zeros(3)}}),
    "no optimiser": lambda f: saved({k: v for k, v in good().items() if k != "optimiser"}),
    "a list": lambda f: saved([torch.zeros(3)]),
}


def headed(header: bytes, length: int | None = None, data: bytes = bytes(16)) -> bytes:
    """A safetensors file with this header."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(**facts: object) -> bytes:
    """The header of one tensor, good but for `facts`."""
    plain = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    return json.dumps({"a": plain | facts}).encode()


def metadata(text: object) -> bytes:
    """A good file whose provenance is this text."""
    told = {"__metadata__": {"provenance": text}}
    return headed(json.dumps(told | json.loads(entry())).encode())


WEIGHTS: dict[str, Callable[[Path], bytes]] = {
    "header of 2**63 bytes": lambda f: headed(entry(), 2**63),
    "header of 100 MB": lambda f: headed(entry(), 10**8),
    "header of a billion spaces": lambda f: headed(entry(), 10**9),
    "header of no length": lambda f: headed(b""),
    "header is no JSON": lambda f: headed(b"{" * 100),
    "header of a million levels": lambda f: headed(b'{"a":' + b"[" * 10**6 + b"]" * 10**6 + b"}"),
    "offsets beyond the file": lambda f: headed(entry(data_offsets=[0, 2**40], shape=[2**38])),
    "offsets backwards": lambda f: headed(entry(data_offsets=[16, 0])),
    "shape of a terabyte": lambda f: headed(entry(shape=[2**38])),
    "shape overflows": lambda f: headed(entry(shape=[2**62, 2**62])),
    "negative shape": lambda f: headed(entry(shape=[-4])),
    "dtype unknown": lambda f: headed(entry(dtype="PICKLE")),
    "holes": lambda f: headed(entry(), data=bytes(64)),
    "pickle": lambda f: saved({"a": GADGETS["os.system"](f)}),
    "provenance is no JSON": lambda f: metadata("{"),
    "provenance is a list": lambda f: metadata("[1]"),
    "provenance of a million levels": lambda f: metadata("[" * 10**6),
    "provenance is missing": lambda f: headed(entry()),
    "provenance of another run": lambda f: metadata('{"key": "0123456789ab"}'),
    "eight bytes": lambda f: bytes(8),
    "weights are empty": lambda f: b"",
}


def refusal(name: str, folder: Path) -> str:
    """The line with which the package refuses a file. Raises AssertionError if it does not."""
    kind, make = ("checkpoint", CHECKPOINTS) if name in CHECKPOINTS else ("safetensors", WEIGHTS)
    path = folder / f"hostile.{kind}"
    path.write_bytes(make[name](folder))
    try:
        if kind == "safetensors":
            store.read(path, RUN)
        else:
            model = RUN.model()
            adamw = descent.build_optimiser(model, "adamw", 1e-3, 2e-3, 0.0)
            descent.resume(path, model, adamw)
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{name}: was read")


def main(folder: str, *names: str) -> None:
    found = {}
    for name in names:
        peak, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        line = refusal(name, Path(folder))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
        found[name] = [line, grown, time.monotonic() - start]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
