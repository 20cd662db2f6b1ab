"""The arrows between modules: a folder imports only from folders to its left, a module only from
modules to its left, and nothing in a circle. The package stays thin."""

import ast
import subprocess
import sys
from pathlib import Path

import attention_in_motion

SOURCE = Path(attention_in_motion.__file__).parent
PACKAGE = "attention_in_motion"

FOLDERS = (
    *("paths", "statistics", "claims"),
    *(
        "physics",
        "models",
        "training",
        "measures",
        "odeformer",
        "forecaster",
        "chapters",
        "figures",
    ),
    *("fit", "book", "cli", "__main__"),
)
INSIDE = {
    "physics": ("oscillator", "uniform_motion", "functions"),
    "models": ("attention", "activations", "transformer", "linear", "motion", "forecaster"),
    "training": (
        *("archive", "descent", "second_order", "run", "oscillator", "motion", "exactness"),
        *("forecast", "store"),
    ),
    "measures": (
        *("trajectories", "linear_rules", "mask", "frequency", "probes", "criteria"),
        *("interventions", "subspaces", "subspace_table", "fingerprint", "one_layer"),
        *("motion_layer", "taylor"),
        *("attention_maps", "grouped_probes", "patching", "forecasts", "sparse_features"),
        *("lens", "ov_circuits", "attended_points", "planes", "attribution"),
    ),
    "odeformer": (
        *("language", "systems", "network", "weights", "official", "recognise", "stream"),
        *("measurements", "matching", "shooting", "proposals", "odebench", "odebench_scores"),
        *("inside", "train", "evaluation", "slopes", "tables", "derivative", "probes"),
        *("decisions", "signs", "sinks", "extrema", "subtraction", "lenses"),
        *("dictionaries", "ablations", "features", "driving", "steepness"),
    ),
    "forecaster": ("series", "scores"),
    "chapters": (
        "posts",
        "page",
        "oscillators",
        "twins",
        "lens_scores",
        "feature_scores",
        "*",
        "motion_tables",
        "contents",
    ),
    "figures": ("style", "*"),
    "book": (
        *("parameters", "parameter_file", "cost", "progress", "pictures", "pages", "reading"),
        *("standalone", "rerun", "claims_page", "tables", "front_picture", "variant", "one_line"),
        *("points", "sweep"),
    ),
    "cli": ("*",),
}
ONLY_IN = {
    **{"matplotlib": "figures", "papermill": "book", "pydantic": "chapters", "click": "cli"},
    **{"sphinx": "book", "bs4": "book", "sklearn": "measures", "distributed": "book"},
    "captum": "measures",
}
RECORDED_COMMANDS = {
    "measures.subspace_table",
    "odeformer.weights",
    "odeformer.train",
    "odeformer.evaluation",
    "odeformer.derivative",
    "odeformer.probes",
    "odeformer.lenses",
    "odeformer.sinks",
    "odeformer.features",
    "odeformer.steepness",
    "forecaster.scores",
}


def modules():
    """{dotted name inside the package: path} of every module that is more than a package's name."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1] != "__init__" and "__pycache__" not in parts:
            yield ".".join(parts), path


MODULES = dict(modules())


def imports(path):
    """Names inside the package that a file imports: 'training.run', 'paths', …

    Anywhere but behind `if __name__ == "__main__"`: a recorded command may call what it needs.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == PACKAGE:
            base = node.module.removeprefix(PACKAGE).strip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".strip(".")
                yield name if name in MODULES else base
        elif isinstance(node, ast.Import):
            yield from (
                a.name.removeprefix(f"{PACKAGE}.") for a in node.names if a.name.startswith(PACKAGE)
            )


def place(name):
    """Where a module stands: (its folder's place, its own place inside)."""
    folder, _, rest = name.partition(".")
    order = INSIDE.get(folder, ())
    own = rest.split(".")[0]
    inside = order.index(own) if own in order else order.index("*") if "*" in order else -1
    return FOLDERS.index(folder), inside if rest else -1


def test_every_module_has_a_place():
    for name in MODULES:
        folder, _, rest = name.partition(".")
        assert folder in FOLDERS, name
        order = INSIDE.get(folder, ())
        assert not rest or "*" in order or rest.split(".")[0] in order, name


def test_arrows_point_left():
    for name, path in MODULES.items():
        for other in imports(path):
            same_room = name.split(".")[:2] == other.split(".")[:2] and name.count(".") == 2
            ok = place(other) < place(name) or same_room
            assert ok, f"{name} imports {other}"


def test_no_circle():
    arrows = {name: set(imports(path)) & MODULES.keys() for name, path in MODULES.items()}
    while leaves := {name for name, others in arrows.items() if not others & arrows.keys()}:
        arrows = {name: others for name, others in arrows.items() if name not in leaves}
    assert not arrows, f"a circle among {sorted(arrows)}"


def test_libraries_stay_where_they_belong():
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lines = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
        roots = {getattr(n, "module", None) or a.name for n in lines for a in n.names}
        folder = name.split(".")[0]
        for library, home in ONLY_IN.items():
            used = any(root.split(".")[0] == library for root in roots)
            commands = folder == "__main__" or name in {*RECORDED_COMMANDS, "odeformer.tables"}
            allowed = folder == home or (library == "click" and commands)
            assert not used or allowed, f"{name} imports {library}"


def test_the_package_is_thin():
    lines = {n: len(p.read_text(encoding="utf-8").splitlines()) for n, p in MODULES.items()}
    print(f"{len(lines)} modules, {sum(lines.values())} lines, longest {max(lines.values())}")
    assert len(lines) <= 141
    assert max(lines.values()) <= 450
    short = {n for n, count in lines.items() if count < 25} - {"__main__"}  # by its nature one line
    assert not short


def test_importing_the_package_draws_no_random_number():
    names = [f"{PACKAGE}.{name}" for name in MODULES if name != "__main__"]
    code = (
        "import torch, numpy\n"
        "t, n = torch.get_rng_state(), numpy.random.get_state()[1].tolist()\n"
        f"import {', '.join(names)}\n"
        "assert torch.equal(t, torch.get_rng_state())\n"
        "assert n == numpy.random.get_state()[1].tolist()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_listing_claims_does_not_wait_for_torch():
    code = (
        f"import sys, {PACKAGE}.__main__, {PACKAGE}.book.tables; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
