"""A file with the pickle structure of the released one converts; hostile ones do nothing."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import struct
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from attention_in_motion import __main__
from attention_in_motion.odeformer import official
from attention_in_motion.odeformer.network.model import ODEFormer, ODEFormerConfig
from attention_in_motion.odeformer.official import convert
from attention_in_motion.odeformer.weights import load

CONFIG = ODEFormerConfig(
    **dict(encoder_width=6, encoder_layers=1, encoder_heads=2, decoder_width=9, decoder_layers=2),
    **dict(decoder_heads=3, embedding_width=2, max_dimension=2, precision=1),
)
CLASSES = {
    "model.model_wrapper": ["ModelWrapper"],
    "model.embedders": ["LinearPointEmbedder"],
    "model.transformer": ["TransformerModel"],
    "envs.environment": ["FunctionEnvironment"],
}


@pytest.fixture
def classes(monkeypatch) -> dict[str, type]:
    """Empty modules by the official names, so that torch.save writes these names."""
    found = {}
    for package in ("odeformer", "odeformer.model", "odeformer.envs"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    for place, names in CLASSES.items():
        module = types.ModuleType(f"odeformer.{place}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for name in names:
            found[name] = type(name, (nn.Module,), {"__module__": module.__name__})
            setattr(module, name, found[name])
    return found


@pytest.fixture
def model() -> ODEFormer:
    return ODEFormer(CONFIG, torch.Generator().manual_seed(0))


@pytest.fixture
def wrapper(classes, model) -> nn.Module:
    """The object graph of the released file around the weights of `model`."""
    top = classes["ModelWrapper"]()
    top.env, top.beam_type, top.device = classes["FunctionEnvironment"](), "sampling", "cpu"
    top.env.float_words, top.env.pairs = list(CONFIG.vocabulary.float_words), {(1, 2): {3.5}}
    top.embedder, top.encoder = classes["LinearPointEmbedder"](), classes["TransformerModel"]()
    top.decoder = classes["TransformerModel"]()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        *path, last = name.split(".")
        setattr(child(top, path), last, parameter)
    decorate(top)
    return top


def child(module: nn.Module, path: list[str]) -> nn.Module:
    for part in path:
        if part not in module._modules:
            module.add_module(
                part, nn.LayerNorm(1, 1e-12, False) if "norm" in part else nn.Module()
            )
        module = module._modules[part]
    return module


def decorate(top: nn.Module) -> None:
    """What the file says besides the weights."""
    top.decoder.id2word = dict(enumerate(CONFIG.vocabulary.words))
    top.decoder.cache = {"slen": 3, 0: (torch.randn(2, 3), torch.arange(4))}
    top.embedder.activation_fn = nn.functional.silu
    for part, heads in (("encoder", 2), ("decoder", 3)):
        for name, module in top._modules[part].named_modules():
            if name.count(".") == 1 and name.split(".")[0] in ("attentions", "encoder_attn"):
                module.n_heads, module.normalized_attention = heads, False
            if name.count(".") == 1 and name.startswith("ffns"):
                module.activation = nn.functional.silu


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "odeformer.pt"


def equal(ours: ODEFormer, theirs: ODEFormer) -> bool:
    first, second = ours.state_dict(), theirs.state_dict()
    same = [torch.equal(tensor, second[name]) for name, tensor in first.items()]
    return all(same) and len(first) == len(second)


def test_converts_bit_for_bit(wrapper, model, path, tmp_path):
    torch.save(wrapper, path)
    out = convert(path, tmp_path / "out")
    loaded = load(out)
    assert loaded.config == CONFIG
    assert equal(loaded, model)
    assert loaded.decoder.proj.weight is loaded.decoder.embeddings.weight
    assert sorted(p.name for p in out.parent.iterdir()) == [
        *("odeformer.json", "odeformer.safetensors")
    ]


def test_the_record_names_the_source(wrapper, path, tmp_path):
    torch.save(wrapper, path)
    record = json.loads(convert(path, tmp_path).with_suffix(".json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["source"] == {
        **dict(file="odeformer.pt", bytes=path.stat().st_size, sha256=digest)
    }


# ---------------------------------------------------------------------------------------------
# Planted calls


class Call:
    """Pickles as the call function(*arguments)."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call

    def __call__(self) -> None:
        """Only there so that a pickle may call the result of the call."""


def planted(sentinel: Path) -> dict[str, Call]:
    """Calls that would all write the sentinel file."""
    command, code = f"touch {sentinel}", f"open({str(sentinel)!r}, 'w')"
    attribute = Call(getattr, Call(__import__, "os"), "system")
    return {
        "os.system": Call(os.system, command),
        "eval": Call(builtins.eval, code),
        "exec": Call(builtins.exec, code),
        "getattr": Call(attribute, command),
        "nested": Call(Call(eval, f"lambda: {code}")),
        "open": Call(open, str(sentinel), "w"),
    }


PLANTED = list(planted(Path("sentinel")))


@pytest.mark.parametrize("name", PLANTED)
def test_the_plants_work_where_pickles_are_run(name, tmp_path, path):
    sentinel = tmp_path / "sentinel"
    torch.save(planted(sentinel)[name], path)
    torch.load(path, weights_only=False)
    assert sentinel.exists()


def as_root(top: nn.Module, call: Call) -> object:
    return call


def as_decoder(top: nn.Module, call: Call) -> object:
    top._modules["decoder"] = call
    return top


def as_weight(top: nn.Module, call: Call) -> object:
    top.decoder.proj._parameters["bias"] = call
    return top


def as_words(top: nn.Module, call: Call) -> object:
    top.decoder.id2word = call
    return top


def as_activation(top: nn.Module, call: Call) -> object:
    top.embedder.activation_fn = call
    return top


@pytest.mark.parametrize("place", [as_root, as_decoder, as_weight, as_words, as_activation])
@pytest.mark.parametrize("name", PLANTED)
def test_planted_calls_are_refused_and_never_made(wrapper, name, place, path, tmp_path):
    sentinel = tmp_path / "sentinel"
    torch.save(place(wrapper, planted(sentinel)[name]), path)
    refused(path)
    assert not sentinel.exists()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_call_in_what_is_not_read_stays_a_note(wrapper, model, name, path, tmp_path):
    sentinel = tmp_path / "sentinel"
    wrapper.env.simplifier = planted(sentinel)[name]
    torch.save(wrapper, path)
    assert equal(load(convert(path, tmp_path / "out")), model)
    assert not sentinel.exists()


def refused(path: Path, message: str = "") -> None:
    """`convert` raises a ValueError of one line with this text, and writes nothing."""
    out = path.parent / "out"
    with pytest.raises(ValueError) as error:
        convert(path, out)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and len(text.splitlines()) == 1
    assert message in text, text
    assert not out.exists()


# ---------------------------------------------------------------------------------------------
# Odd models


def doubled(top: nn.Module) -> None:
    top.double()


def integers(top: nn.Module) -> None:
    top.decoder.proj._parameters["bias"] = torch.arange(len(CONFIG.vocabulary.words))


def transposed(top: nn.Module) -> None:
    lin = top.encoder.attentions._modules["0"].q_lin
    lin.weight = nn.Parameter(lin.weight.detach().T)


def repeated(top: nn.Module) -> None:
    top.decoder.proj.bias = nn.Parameter(torch.zeros(1).expand(len(CONFIG.vocabulary.words)))


def offset(top: nn.Module) -> None:
    top.embedder.fc.bias = nn.Parameter(torch.zeros(60)[10:16])


def shared(top: nn.Module) -> None:
    lin = top.encoder.attentions._modules["0"]._modules
    lin["k_lin"].weight = lin["q_lin"].weight


def missing(top: nn.Module) -> None:
    del top.decoder.layer_norm15._modules["1"]._parameters["bias"]


def superfluous(top: nn.Module) -> None:
    top.encoder.position_embeddings = nn.Embedding(5, 6)


def a_buffer(top: nn.Module) -> None:
    top.encoder.register_buffer("scale", torch.ones(1))


def reshaped(top: nn.Module) -> None:
    top.encoder.ffns._modules["0"].lin1.bias = nn.Parameter(torch.zeros(25))


def untied(top: nn.Module) -> None:
    top.decoder.proj.weight = nn.Parameter(top.decoder.proj.weight.detach() + 1)


def not_a_number(top: nn.Module) -> None:
    top.decoder.proj.bias.data[3] = float("nan")


def other_words(top: nn.Module) -> None:
    top.decoder.id2word[40] = "sub"


def fewer_words(top: nn.Module) -> None:
    del top.decoder.id2word[0]


def odd_heads(top: nn.Module) -> None:
    for layer in top.encoder.attentions._modules.values():
        layer.n_heads = 4


def uneven_heads(top: nn.Module) -> None:
    top.decoder.encoder_attn._modules["1"].n_heads = 1


def no_heads(top: nn.Module) -> None:
    top.decoder.attentions._modules["0"].n_heads = "3"


def another_activation(top: nn.Module) -> None:
    top.decoder.ffns._modules["1"].activation = nn.functional.gelu


def another_norm(top: nn.Module) -> None:
    top.encoder.layer_norm_emb.eps = 1e-5


def normalised(top: nn.Module) -> None:
    top.encoder.attentions._modules["0"].normalized_attention = True


def endless(top: nn.Module) -> None:
    top.decoder._modules["again"] = top.decoder


def strange_names(top: nn.Module) -> None:
    top.decoder._modules["a.b\n"] = nn.Module()


def no_decoder(top: nn.Module) -> None:
    del top._modules["decoder"]


def no_table(top: nn.Module) -> None:
    top.decoder.embeddings._parameters["weight"] = None


ODD = {
    doubled: "must be a tensor of float32",
    integers: "decoder.proj.bias: must be a tensor of float32",
    transposed: "encoder.attentions.0.q_lin.weight: must lie row after row",
    repeated: "decoder.proj.bias: must lie row after row",
    offset: "embedder.fc.bias: must be all of its storage",
    shared: "weights share their numbers",
    missing: "decoder.layer_norm15.1.bias is missing",
    superfluous: "encoder.position_embeddings.weight is unknown",
    a_buffer: "encoder.scale is unknown",
    reshaped: "encoder.ffns.0.lin1.bias is (25,): must be (24,)",
    untied: "decoder.proj.weight must be decoder.embeddings.weight",
    not_a_number: "not finite",
    other_words: "decoder.id2word: must be the 389 words",
    fewer_words: "decoder.id2word: must be the 389 words",
    odd_heads: "encoder_heads = 4: must divide encoder_width = 6",
    uneven_heads: "decoder.encoder_attn.1.n_heads: must be 3",
    no_heads: "decoder.attentions.0 has no n_heads",
    another_activation: "decoder.ffns.1.activation: must be silu",
    another_norm: "encoder.layer_norm_emb.eps: must be 1e-12",
    normalised: "encoder.attentions.0.normalized_attention: must be False",
    endless: "modules lie more than 6 deep",
    strange_names: "must be a plain name",
    no_decoder: "the pickled object has no decoder",
    no_table: "decoder.embeddings.weight is missing",
}


@pytest.mark.parametrize("change", ODD, ids=lambda change: change.__name__)
def test_odd_models_are_refused(wrapper, change, path):
    change(wrapper)
    torch.save(wrapper, path)
    refused(path, ODD[change])


# ---------------------------------------------------------------------------------------------
# Broken zips

Members = dict[str, bytes]


def rewrite(path: Path, change: Callable[[Members], None], compression: int = 0) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


ROOT = "odeformer"
ZIPS: dict[str, tuple[Callable[[Members], object], str]] = {
    "parent": (
        lambda m: m.update({f"{ROOT}/../evil": b""}),
        "'odeformer/../evil': must be a plain",
    ),
    "absolute": (lambda m: m.update({"/etc/evil": b""}), "'/etc/evil': must be a plain name"),
    "drive": (lambda m: m.update({"C:\\a/b": b""}), "must be a plain name"),
    "line": (lambda m: m.update({"odeformer/a\nb": b""}), "must be a plain name"),
    "top": (lambda m: m.update({"evil": b""}), "'evil': must be a plain name inside one folder"),
    "folders": (lambda m: m.update({"other/data.pkl": b""}), "there twice"),
    "two folders": (lambda m: m.update({"other/a": b""}), "lie in 2 folders"),
    "no pickle": (lambda m: m.pop(f"{ROOT}/data.pkl"), "data.pkl is missing"),
    "no numbers": (lambda m: m.pop(f"{ROOT}/data/0"), "is missing: must be"),
    "short": (lambda m: m.update({f"{ROOT}/data/0": b"1234"}), "is 4 bytes: must be"),
    "long": (lambda m: m.update({f"{ROOT}/data/0": bytes(10**6)}), "is 1000000 bytes: must be"),
    "big": (lambda m: m.update({f"{ROOT}/byteorder": b"big"}), "byteorder: must be little"),
    "empty": (lambda m: m.clear(), "lie in 0 folders"),
    "many": (lambda m: m.update({f"{ROOT}/{i:050d}": b"" for i in range(12000)}), "contents has"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_broken_zips_are_refused(wrapper, name, path):
    change, message = ZIPS[name]
    torch.save(wrapper, path)
    rewrite(path, change)
    refused(path, message)


def test_a_zip_written_anew_is_accepted(wrapper, model, path, tmp_path):
    """So it is the change that is refused above. Older files do not say their byte order."""
    torch.save(wrapper, path)
    rewrite(path, lambda members: members.pop(f"{ROOT}/byteorder"))
    assert equal(load(convert(path, tmp_path / "out")), model)


def test_a_compressed_bomb_is_refused(wrapper, path):
    torch.save(wrapper, path)
    bomb = {f"{ROOT}/data/0": bytes(2**24)}
    rewrite(path, lambda members: members.update(bomb), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused(path, "must be neither compressed nor encrypted")


@pytest.mark.parametrize("size", [2**31, 2**32 - 2])
def test_absurd_sizes_are_refused_before_reading(wrapper, path, size):
    """The table of contents says so many bytes for data/0."""
    torch.save(wrapper, path)
    rewrite(path, lambda members: None)
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\1\2", 0, data.rindex(b"odeformer/data/0"))
    data[start + 20 : start + 28] = struct.pack("<II", size, size)
    path.write_bytes(data)
    refused(path, "larger than the file")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(wrapper, path, share):
    torch.save(wrapper, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "not a zip file")


def test_one_flipped_bit_is_noticed(wrapper, path):
    torch.save(wrapper, path)
    data = bytearray(path.read_bytes())
    data[data.index(b"odeformer/data/0") + 200] ^= 1
    path.write_bytes(data)
    refused(path, "CRC")


def test_other_files_are_refused(path):
    path.write_bytes(b"\x80\x02}q\x00." * 1000)
    refused(path, "not a zip file")


# ---------------------------------------------------------------------------------------------
# Crafted pickles

PROTO, EMPTY_TUPLE, TUPLE1, STOP = b"\x80\x02", b")", b"\x85", b"."


def doubling(levels: int) -> bytes:
    """The tuple (t, t) of the tuple (t, t) …: hashing it takes 2^levels steps."""
    return EMPTY_TUPLE + b"q\x00h\x00\x86" * levels


PICKLES = {
    "nothing": (b"", "pickle exhausted"),
    "no stop": (PROTO + b"N", "pickle exhausted"),
    "no value": (PROTO + STOP, "takes 1 of 0 values"),
    "underflow": (PROTO + b"N\x87" + STOP, "takes 3 of 1 values"),
    "no mark": (PROTO + b"Nt" + STOP, "up to a mark it never made"),
    "unknown opcode": (PROTO + b"\xff" + STOP, "opcode"),
    "call of a number": (PROTO + b"K\x01)R" + STOP, "no object"),
    "state of a number": (PROTO + b"K\x01K\x01b" + STOP, "no object"),
    "item of a tuple": (PROTO + b")K\x01K\x01s" + STOP, "no object"),
    "odd items": (PROTO + b"}(K\x01u" + STOP, "argument 2"),
    "class by text": (PROTO + b"(ios\nsystem\n" + STOP, "opcode INST"),
    "extension": (PROTO + b"\x82\x01" + STOP, "opcode EXT1"),
    "protocol 4": (b"\x80\x04\x95\x03\0\0\0\0\0\0\0N.", "opcode FRAME"),
    "long bytes": (PROTO + b"\x8e" + b"\xff" * 7 + b"\x7f", "expected"),
    "long text": (PROTO + b"X\xff\xff\xff\xff" + STOP, "expected"),
    "deep": (PROTO + EMPTY_TUPLE + TUPLE1 * 100_000 + STOP, "the pickled object has no attributes"),
    "slow key": (PROTO + b"}" + doubling(200) + b"Ns" + STOP, "the pickled object has no"),
    "deep key": (PROTO + b"})" + TUPLE1 * 100_000 + b"Ns" + STOP, "the pickled object has no"),
    "large memo": (PROTO + b"Nr\xff\xff\xff\xff" + STOP, "the pickled object has no attributes"),
    "itself": (PROTO + b"}q\x00h\x00b" + STOP, "the pickled object has no embedder"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_crafted_pickles_are_refused(wrapper, name, path):
    data, message = PICKLES[name]
    torch.save(wrapper, path)
    rewrite(path, lambda members: members.update({f"{ROOT}/data.pkl": data}))
    refused(path, message)


def test_endless_pickles_are_refused(wrapper, path, monkeypatch):
    torch.save(wrapper, path)
    monkeypatch.setattr(official, "MOST_OPCODES", 1000)
    refused(path, "more than 1000 opcodes")
    monkeypatch.setattr(official, "MOST_PICKLE", 1000)
    refused(path, "must be at most 1000")


def test_absurd_vocabularies_are_refused_before_they_are_built(wrapper, path):
    """Four bytes of the file would become a hundred of a vocabulary."""
    wrapper.embedder.embeddings.weight = nn.Parameter(torch.zeros(10**7 + 220, 1))
    torch.save(wrapper, path)
    refused(path, "it has 10000220 and 389 words")


# ---------------------------------------------------------------------------------------------
# The command


def test_the_command(wrapper, path, tmp_path, capsys, monkeypatch):
    torch.save(wrapper, path)
    command = ["aim", "convert-official", str(path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="0"):
        __main__.main()
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "odeformer.safetensors")
    path.write_bytes(b"PK")
    with pytest.raises(SystemExit, match="2"):
        __main__.main()
    path.unlink()
    with pytest.raises(SystemExit, match="2"):
        __main__.main()
    said = capsys.readouterr().err.splitlines()
    errors = [line for line in said if not line.startswith("reads the tensors of")]
    assert errors == [f"error: {path}: File is not a zip file", f"error: {path}: no such file"]
