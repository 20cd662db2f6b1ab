"""Zip files that torch.save wrote, read without trusting them: time and memory are bounded.

PyTorch stores the members of a file side by side as they are, a pickle in `data.pkl` and the
numbers of every tensor in `data/0`, `data/1`, … Its reader compares no checksum and believes what
a file says of its own size; so `check` looks before that reader does.
"""

from __future__ import annotations

import io
import os
import pickletools
import struct
import zipfile
from pathlib import Path

CHUNK = 2**20  # bytes read at once; the zip's table of contents has to fit
MOST_PICKLE, MOST_OPCODES = 2**25, 200_000  # of data.pkl
LOOKUPS = ("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")
BROKEN = (zipfile.BadZipFile, struct.error, EOFError, OSError)
UNREADABLE = (*BROKEN, NotImplementedError, OverflowError, RuntimeError)
STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
NAMES = {
    *("collections OrderedDict", "torch._utils _rebuild_tensor_v2"),
    *(f"torch {kind}Storage" for kind in STORAGES),
}


def check(path: Path) -> None:
    """Raise ValueError unless a file is what torch.save makes of tensors, numbers and texts.

    Every member is stored as it is and has its checksum, together they are no larger than the file,
    and the pickle names nothing but tensors and dictionaries.
    """
    with BoundedFile(path) as file, zipfile.ZipFile(file) as archive:
        members = members_of(archive, path.stat().st_size)
        if "data.pkl" not in members:
            raise ValueError("data.pkl is missing: must be a file written by torch.save")
        for info in members.values():
            content(archive, info, info.file_size)
        foreign = names(content(archive, members["data.pkl"], MOST_PICKLE)) - NAMES
    if foreign:
        raise ValueError(f"it holds {min(foreign)!r}: must hold tensors alone")


def names(pickle: bytearray) -> set[str]:
    """Every name that a pickle looks up; what is looked up otherwise is named by its opcode."""
    found = set()
    for n, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
        if n > MOST_OPCODES:
            raise ValueError(f"data.pkl has more than {MOST_OPCODES} opcodes")
        if opcode.name in LOOKUPS:
            found.add(argument if opcode.name == "GLOBAL" else opcode.name)
    return found


class BoundedFile(io.FileIO):
    """A file to read that hands out at most `CHUNK` bytes at a time, however many are asked for."""

    def read(self, size: int = -1) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        wanted = left if size < 0 else min(size, left)
        if wanted > CHUNK:
            raise ValueError(f"its table of contents has {wanted} bytes: must be at most {CHUNK}")
        return super().read(wanted)


def members_of(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by their names inside the one folder they lie in. Raises ValueError for bad ones.

    PyTorch stores members side by side as they are. So they must not be compressed, and not be
    larger in all than the file, `size` bytes.
    """
    members, folders = {}, set()
    for info in archive.infolist():
        check_member(info)
        folder, name = info.filename.split("/", 1)
        folders.add(folder)
        if name in members:
            raise ValueError(f"member {info.filename!r} is there twice")
        members[name] = info
    if len(folders) != 1:
        raise ValueError(f"its members lie in {len(folders)} folders: must be one")
    if sum(info.file_size for info in members.values()) > size:
        raise ValueError("its members are larger than the file: they overlap")
    if "byteorder" in members and content(archive, members["byteorder"], 16) != b"little":
        raise ValueError("byteorder: must be little")
    return members


def check_member(info: zipfile.ZipInfo) -> None:
    """Raises ValueError unless a member is stored as it is, under a plain name in one folder."""
    name, parts = info.orig_filename, info.orig_filename.split("/")
    strange = set(parts) & {"", ".", ".."} or set(name) & set("\\:") or not name.isprintable()
    if strange or len(parts) < 2 or name != info.filename:
        raise ValueError(f"member {name[:80]!r}: must be a plain name inside one folder")
    stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    if not stored or info.flag_bits & 1:
        raise ValueError(f"member {name[:80]!r}: must be neither compressed nor encrypted")


def content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytearray:
    """All bytes of a member, at most `most`; the zip's checksum is compared."""
    if info.file_size > most:
        raise ValueError(f"{info.filename!r} has {info.file_size} bytes: must be at most {most}")
    whole = bytearray()
    with archive.open(info) as member:
        while chunk := member.read(CHUNK):
            whole += chunk
    if len(whole) != info.file_size:
        raise ValueError(f"{info.filename!r} has {len(whole)} bytes: must be {info.file_size}")
    return whole
