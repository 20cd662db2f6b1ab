"""The released ODEFormer, from the file its authors share to safetensors, running none of it.

`odeformer.pt` is a zip with a pickled Python object in `data.pkl` and the numbers of every tensor
in `data/0`, `data/1`, … A pickle is a program for a small stack machine that calls whatever it
names. Here it is only read, as a description: each name, call and object becomes a `Note`, no class
is looked up and no function called. Weights are found in the notes by `ODEFormer`'s names, every
dimension is taken from their shapes, the other settings (words, heads, activation) are compared
with ours. Anything unexpected is an error.

Sources: package odeformer 0.1.7 for the classes; Python's `pickletools` for the opcodes.
"""

from __future__ import annotations

import math
import pickletools
import re
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.weights import save
from attention_in_motion.paths import sha256
from attention_in_motion.training.archive import UNREADABLE, BoundedFile, content, members_of

MOST_PICKLE = 2**25  # bytes of data.pkl; the released file has about 2²⁰
MOST_OPCODES = 2_000_000  # of which the released file has about 200 000
MOST_MODULES, MOST_LEVELS = 5000, 6
LARGEST_KEY = 2**31
PARTS = ("embedder", "encoder", "decoder")
MOST_DIMENSIONS, MOST_PRECISION = 100, 5
OTHER_WORDS = 67  # equation words that are neither a variable nor a float word


def convert(path: Path, folder: Path) -> Path:
    """Write `folder`/odeformer.safetensors and its .json, as `weights.load` reads them; the former.

    The .json holds every dimension (config.model) and the SHA-256 of the file at `path`. Raises
    FileNotFoundError, or ValueError in one line for a file that is not a released model: broken,
    compressed or absurd in size, with tensors missing, superfluous or of another shape, other
    words, heads that do not fit. Nothing in the file is executed, whatever it holds; time and
    memory are bounded by its size.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        config, tensors = read(path)
    except (ValueError, *UNREADABLE) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    model = ODEFormer(config, torch.Generator())
    model.load_state_dict(tensors)
    source = {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}
    out = folder / "odeformer.safetensors"
    save(model, {"config": {"model": asdict(config)}, "source": source}, out)
    return out


def read(path: Path) -> tuple[ODEFormerConfig, dict[str, Tensor]]:
    """The dimensions and the weights, by the names of `ODEFormer.state_dict`, float32."""
    with BoundedFile(path) as file, zipfile.ZipFile(file) as archive:
        members = members_of(archive, path.stat().st_size)
        modules = modules_of(read_pickle(pickle_of(archive, members)))
        places = {name: place_of(name, note) for name, note in weights_of(modules).items()}
        check_stored(members, places)
        config = config_of(modules, places)
        check_settings(modules, config)
        check_shapes(places, config)
        tensors = {
            name: read_tensor(archive, members[f"data/{place.key}"], place.size)
            for name, place in places.items()
        }
    if not torch.equal(tensors["decoder.proj.weight"], tensors["decoder.embeddings.weight"]):
        raise ValueError("decoder.proj.weight must be decoder.embeddings.weight")
    return config, tensors


# ---------------------------------------------------------------------------------------------
# The zip


def pickle_of(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> bytes:
    """The bytes of data.pkl. Raises ValueError if it is missing or too large."""
    if "data.pkl" not in members:
        raise ValueError("data.pkl is missing: must be a file written by torch.save")
    return bytes(content(archive, members["data.pkl"], MOST_PICKLE))


# ---------------------------------------------------------------------------------------------
# The pickle


@dataclass(eq=False, slots=True)
class Note:
    """Something the pickle wants made, and is not: a name, or a call of it if it has arguments.

    `entries` is what is put into it by key, `state` what it gets as its attributes. The name is
    module and name for a global, else "dict", "list" or "storage".
    """

    name: str
    arguments: Any = None
    entries: dict[str | int, Any] = field(default_factory=dict)
    state: Any = None


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY = {"EMPTY_DICT": "dict", "EMPTY_LIST": "list"}


class Reader:
    """The stack machine of pickle protocol 2, in which no opcode runs anything."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}

    def take(self, n: int) -> list[Any]:
        """The top n values, off the stack."""
        if not 0 <= n <= len(self.stack):
            raise ValueError(f"data.pkl takes {n} of {len(self.stack)} values")
        taken = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return taken

    def take_to_mark(self) -> list[Any]:
        """The values above the last mark, off the stack."""
        if not self.marks:
            raise ValueError("data.pkl takes values up to a mark it never made")
        return self.take(len(self.stack) - self.marks.pop())

    def top(self) -> Note:
        """The note on top of the stack. Raises ValueError if that is none."""
        if not self.stack or not isinstance(self.stack[-1], Note):
            raise ValueError("data.pkl fills something that is no object")
        return self.stack[-1]

    def step(self, opcode: str, argument: Any) -> None:
        """One opcode. Raises ValueError for those that torch.save does not write."""
        match opcode:
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                self.stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                self.stack.append(CONSTANTS[opcode])
            case "EMPTY_DICT" | "EMPTY_LIST":
                self.stack.append(Note(EMPTY[opcode]))
            case "GLOBAL":
                self.stack.append(Note(argument))
            case "MARK":
                self.marks.append(len(self.stack))
            case "TUPLE":
                self.stack.append(tuple(self.take_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self.take(int(opcode[-1]))))
            case "BINPERSID":
                self.stack.append(Note("storage", *self.take(1)))
            case "REDUCE" | "NEWOBJ":
                (arguments,) = self.take(1)
                self.stack[-1:] = [Note(self.top().name, arguments)]
            case "APPEND" | "APPENDS":  # nothing we look for is in a list
                self.take(1) if opcode == "APPEND" else self.take_to_mark()
            case "BUILD":
                (state,) = self.take(1)
                self.top().state = state
            case "SETITEM" | "SETITEMS":
                items = self.take(2) if opcode == "SETITEM" else self.take_to_mark()
                self.top().entries.update(plain_items(items))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1] if self.stack else None
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo.get(argument))
            case "PROTO" | "STOP":
                pass
            case _:
                raise ValueError(f"data.pkl has the opcode {opcode}: torch.save writes no such one")


def plain_items(items: list[Any]) -> dict[str | int, Any]:
    """{key: value} of key, value, key, value, …; only words and small numbers are kept as keys.

    Other keys (tuples within tuples, crafted integers) could take forever to hash.
    """
    pairs = zip(items[::2], items[1::2], strict=True)
    return {k: v for k, v in pairs if type(k) is str or (type(k) is int and 0 <= k < LARGEST_KEY)}


def read_pickle(data: bytes) -> Any:
    """The object that `data` describes. Raises ValueError if it is no whole protocol 2 pickle."""
    reader = Reader()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if count == MOST_OPCODES:
            raise ValueError(f"data.pkl has more than {MOST_OPCODES} opcodes")
        reader.step(opcode.name, argument)
    return reader.take(1)[0]


# ---------------------------------------------------------------------------------------------
# The modules

Modules = dict[str, dict[str | int, Any]]


def modules_of(root: Any) -> Modules:
    """{dotted name: attributes} of the embedder, encoder and decoder, and of every module below."""
    found: Modules = {}
    queue = [(part, child_of(root, part)) for part in PARTS]
    for name, module in queue:  # which grows
        found[name] = attributes_of(name, module)
        for child, value in entries_of(found[name], "_modules").items():
            if name.count(".") == MOST_LEVELS:
                raise ValueError(f"its modules lie more than {MOST_LEVELS} deep")
            if not re.fullmatch(r"\w{1,40}", str(child)):
                raise ValueError(f"{name} holds a module {str(child)[:40]!r}: must be a plain name")
            if value is not None:
                queue.append((f"{name}.{child}", value))
        if len(queue) > MOST_MODULES:
            raise ValueError(f"it has more than {MOST_MODULES} modules")
    return found


def child_of(root: Any, part: str) -> Any:
    """The note of one of PARTS. Raises ValueError if the pickled object has none."""
    children = entries_of(attributes_of("the pickled object", root), "_modules")
    if part not in children:
        raise ValueError(f"the pickled object has no {part}: must be an ODEFormer")
    return children[part]


def attributes_of(name: str, module: Any) -> dict[str | int, Any]:
    """What a module's note was given as attributes. Raises ValueError if it was given none."""
    match module:
        case Note(state=Note(entries=attributes)):
            return attributes
    raise ValueError(f"{name} has no attributes: must be a module of an ODEFormer")


def entries_of(attributes: dict[str | int, Any], name: str) -> dict[str | int, Any]:
    """What a dictionary among the attributes holds; nothing if it is not there."""
    match attributes.get(name):
        case Note(entries=entries):
            return entries
    return {}


def weights_of(modules: Modules) -> dict[str, Any]:
    """{dotted name: note} of all parameters and buffers."""
    return {
        f"{module}.{name}": note
        for module, attributes in modules.items()
        for kind in ("_parameters", "_buffers")
        for name, note in entries_of(attributes, kind).items()
        if note is not None
    }


def config_of(modules: Modules, places: dict[str, Place]) -> ODEFormerConfig:
    """Every dimension from the shapes of the weights; the heads, which leave no trace, as noted."""

    def shape(name: str) -> tuple[int, ...]:
        if name not in places or len(places[name].size) != 2:
            raise ValueError(f"{name} is missing: must be a matrix")
        return places[name].size

    n_floats, embedding_width = shape("embedder.embeddings.weight")
    n_words, decoder_width = shape("decoder.embeddings.weight")
    max_dimension, precision = n_words - n_floats - OTHER_WORDS, len(str(n_floats)) - 2
    if max_dimension > MOST_DIMENSIONS or precision > MOST_PRECISION:
        raise ValueError(f"it has {n_floats} and {n_words} words: must be 10220 and 10293 or so")
    layers = {p: sum(bool(re.fullmatch(rf"{p}\.ffns\.\d+", m)) for m in modules) for p in PARTS}
    return ODEFormerConfig(
        encoder_width=shape("embedder.fc.weight")[0],
        encoder_layers=layers["encoder"],
        encoder_heads=heads_of(modules, "encoder"),
        decoder_width=decoder_width,
        decoder_layers=layers["decoder"],
        decoder_heads=heads_of(modules, "decoder"),
        embedding_width=embedding_width,
        max_dimension=max_dimension,
        precision=precision,
    )


def heads_of(modules: Modules, part: str) -> int:
    """The number of heads that the encoder or decoder notes. Raises ValueError without one."""
    heads = modules.get(f"{part}.attentions.0", {}).get("n_heads")
    if type(heads) is not int:
        raise ValueError(f"{part}.attentions.0 has no n_heads: must be an integer")
    return heads


def check_settings(modules: Modules, config: ODEFormerConfig) -> None:
    """Raises ValueError for what shapes do not show: words, heads, activation, variants."""
    fixed = {"normalized_attention": False, "norm_attention": False, "use_two_hot": False}
    for name, attributes in modules.items():
        heads = config.encoder_heads if name.startswith("encoder") else config.decoder_heads
        for key, value in {**fixed, "eps": 1e-12, "n_heads": heads}.items():
            if attributes.get(key, value) != value:
                raise ValueError(f"{name}.{key}: must be {value}")
        key = "activation_fn" if name == "embedder" else "activation"
        active = name == "embedder" or re.fullmatch(r"\w+\.ffns\.\d+", name)
        if active and not is_silu(attributes.get(key)):
            raise ValueError(f"{name}.{key}: must be silu")
    words = dict(enumerate(config.vocabulary.words))
    if entries_of(modules["decoder"], "id2word") != words:
        raise ValueError(f"decoder.id2word: must be the {len(words)} words of these dimensions")


def is_silu(note: Any) -> bool:
    """Whether a note names torch's silu."""
    return isinstance(note, Note) and note.name == "torch.nn.functional silu"


def check_shapes(places: dict[str, Place], config: ODEFormerConfig) -> None:
    """Raises ValueError unless the weights are those of an ODEFormer of these dimensions.

    No two may share their numbers, but for the tied output embedding.
    """
    with torch.device("meta"):  # allocates nothing
        expected = ODEFormer(config, torch.Generator()).state_dict()
    for name in expected.keys() ^ places.keys():
        raise ValueError(f"{name[:80]} is {'missing' if name in expected else 'unknown'}")
    for name, tensor in expected.items():
        if places[name].size != tuple(tensor.shape):
            raise ValueError(f"{name} is {places[name].size}: must be {tuple(tensor.shape)}")
    keys = {place.key for name, place in places.items() if name != "decoder.proj.weight"}
    if len(keys) != len(places) - 1:
        raise ValueError("weights share their numbers: each must have its own")


# ---------------------------------------------------------------------------------------------
# The tensors


class Place(NamedTuple):
    """The member data/`key` that holds a float32 tensor of this size, row after row."""

    key: str
    size: tuple[int, ...]


def place_of(name: str, note: Any) -> Place:
    """Where a noted tensor lies. Raises ValueError unless that is a whole float32 storage."""
    match note:
        case Note("torch._utils _rebuild_parameter", (inner, *_)):
            note = inner
    match note:
        case Note(
            "torch._utils _rebuild_tensor_v2", (storage, offset, tuple(size), tuple(step), *_)
        ):
            match storage:
                case Note("storage", ("storage", Note("torch FloatStorage", None), str(key), _, n)):
                    check_layout(name, n, offset, size, step)
                    return Place(key, size)
    raise ValueError(f"{name[:80]}: must be a tensor of float32 (torch.FloatStorage)")


def check_layout(name: str, n: Any, offset: Any, size: tuple, step: tuple) -> None:
    """Raises ValueError unless a tensor is all of its storage, row after row."""
    if not (1 <= len(size) <= 2 and all(type(i) is int and i > 0 for i in size)):
        raise ValueError(f"{name[:80]}: must have one or two sizes of at least 1")
    if step not in ((1,), (size[-1], 1)) or len(step) != len(size):
        raise ValueError(f"{name[:80]}: must lie row after row, strides say otherwise")
    if offset != 0 or n != math.prod(size):
        raise ValueError(f"{name[:80]}: must be all of its storage, from offset 0")


def check_stored(members: dict[str, zipfile.ZipInfo], places: dict[str, Place]) -> None:
    """Raises ValueError for a missing member or a wrong length."""
    for name, place in places.items():
        info, n_bytes = members.get(f"data/{place.key}"), 4 * math.prod(place.size)
        if info is None or info.file_size != n_bytes:
            found = "missing" if info is None else f"{info.file_size} bytes"
            raise ValueError(f"data/{place.key[:20]} ({name}) is {found}: must be {n_bytes} bytes")


def read_tensor(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: tuple[int, ...]) -> Tensor:
    """The numbers of a member. Raises ValueError for NaN or ∞."""
    tensor = torch.frombuffer(content(archive, info, info.file_size), dtype=torch.float32)
    if not tensor.isfinite().all():
        raise ValueError(f"{info.filename} holds numbers that are not finite")
    return tensor.reshape(size)
