"""Train, one after the other, what `gradients.patch` needs: nine runs of chapter 2.

    AIM_WEIGHTS=runs/weights python drafts/train_linear_collapse.py

Interrupted, it goes on with the run it was at; what is finished or shipped is not trained again.
With a number, 20 say, it takes so many steps of each, to try it; these have keys of their own.
"""

import sys
from dataclasses import replace

from attention_in_motion.book import pages
from attention_in_motion.chapters import linear_collapse as chapter
from attention_in_motion.training.store import load_all

N_NEW = 200  # the page's n_new

p = chapter.Parameters.given(pages.defaults(chapter.PAGE))
runs = chapter.more_seeds(chapter.runs(p), N_NEW)
if sys.argv[1:]:
    runs = {name: replace(run, steps=int(sys.argv[1])) for name, run in runs.items()}
for name, one in load_all(runs, chapter.PAGE).items():
    print(f"{name}: {len(one.run.seeds)} seeds, {one.provenance['seconds']:.0f} s")
