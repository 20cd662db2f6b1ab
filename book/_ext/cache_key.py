"""Key the execution cache by everything a chapter's numbers depend on.

myst-nb reuses outputs as long as a notebook's own cells are unchanged; here a change in src/, in
data/ or in the pins also leads to another cache folder, so the chapters run again.
"""

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def digest() -> str:
    """Hash of the sources, shipped weights and pinned versions."""
    folders = [path for folder in ("src", "data") for path in (ROOT / folder).rglob("*")]
    kept = [p for p in folders if p.suffix in {".py", ".json", ".safetensors", ".toml"}]
    whole = hashlib.sha256()
    for path in sorted([*kept, ROOT / "requirements.txt"]):
        whole.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def set_cache_path(app, config) -> None:
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / digest())


def setup(app) -> dict:
    app.connect("config-inited", set_cache_path)
    return {"parallel_read_safe": True}
