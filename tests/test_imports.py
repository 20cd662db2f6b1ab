"""The arrows between modules: each may import only what is listed here."""

import ast
from pathlib import Path

import attention_in_motion

SOURCE = Path(attention_in_motion.__file__).parent
PACKAGE = "attention_in_motion"

MAY_IMPORT = {
    "oscillator": set(),
    "attention": set(),
    "models": {"attention"},
    "training": set(),
    "rollout": set(),
    "record": set(),
    "saliency": set(),
    "rules": set(),
    "claims": {"rules"},
    "parameters": set(),
    "experiments": {
        *("attention", "exactness", "models", "oscillator", "solver", "training", "uniform_motion"),
    },
    "artifacts": {"experiments", "training"},
    "shipping": {"artifacts", "training"},
    "paths": set(),
    "plots": set(),
    "uniform_motion": {"attention"},
    "exactness": {"models", "record", "training", "uniform_motion"},
    "taylor": set(),
    "variable_omega": {"models", "oscillator", "record", "rollout"},
    "criteria": {"oscillator", "probes", "record", "solver", "variable_omega"},
    "solver": {"models"},
    "probes": set(),
    "__init__": set(),
    "__main__": {"book", "claims", "odeformer", "paths", "shipping"},
}
ONLY_IN = {"matplotlib": {"plots"}, "papermill": set(), "pydantic": {"parameters"}}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = node.module == PACKAGE
            yield from (f"{PACKAGE}.{a.name}" for a in node.names) if inside else [node.module]


def test_every_module_has_a_place():
    assert {path.stem for path in SOURCE.glob("*.py")} <= set(MAY_IMPORT)


def test_arrows_point_down():
    for path in SOURCE.glob("*.py"):
        ours = {name.split(".")[1] for name in imports(path) if name.startswith(f"{PACKAGE}.")}
        assert ours <= MAY_IMPORT[path.stem], f"{path.stem} imports {ours - MAY_IMPORT[path.stem]}"


def test_odeformer_needs_nothing_of_the_toy_models():
    for path in (SOURCE / "odeformer").glob("*.py"):
        ours = {name.split(".")[1] for name in imports(path) if name.startswith(f"{PACKAGE}.")}
        allowed = {"odeformer", "record", "training"} | (
            {"claims"} if path.stem == "evaluation" else set()
        )
        assert ours <= allowed, f"{path.stem} imports {ours - allowed}"


def test_libraries_stay_where_they_belong():
    for path in SOURCE.glob("*.py"):
        roots = {name.split(".")[0] for name in imports(path)}
        for library, homes in ONLY_IN.items():
            assert library not in roots or path.stem in homes, f"{path.stem} imports {library}"


def test_importing_the_package_draws_no_random_number():
    import subprocess
    import sys

    names = [f"{PACKAGE}.{path.stem}" for path in SOURCE.glob("*.py") if path.stem != "__main__"]
    code = (
        "import torch, numpy\n"
        "t, n = torch.get_rng_state(), numpy.random.get_state()[1].tolist()\n"
        f"import {', '.join(names)}\n"
        "assert torch.equal(t, torch.get_rng_state())\n"
        "assert n == numpy.random.get_state()[1].tolist()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
