# Names for commands. `make book` and `make test` work on a fresh machine with Python >= 3.11.
.PHONY: book preview pdf jb2 links test test-browser test-official faults outputs retrain bench clean
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
READY := .venv/ready
WORKERS ?= 2

book: $(READY)
	python -m attention_in_motion check-builder
	jupyter-book build book -n -W --keep-going
	@echo "Open $(CURDIR)/_build/html/index.html"

preview: export BOOK_PAGES := committed
preview: book  # executes nothing: the pages as they are committed

pdf: $(READY)  # all pages as one, printed by Chromium
	jupyter-book build book -n -W --keep-going --builder custom --custom-builder singlehtml
	rm -r _build/.doctrees  # else make book takes for shown what was read for the print
	chromium --headless --no-sandbox --disable-gpu --virtual-time-budget=300000 --no-pdf-header-footer \
	  --print-to-pdf=_build/attention-in-motion.pdf "file://$(CURDIR)/_build/singlehtml/index.html"
	@echo "Open $(CURDIR)/_build/attention-in-motion.pdf"

jb2:  # how Jupyter Book 2 reads the pages: a list of what does not carry over; blocks nothing
	rm -rf _build/jb2 && mkdir -p _build/jb2
	$(PYTHON) -m venv _build/jb2/.venv
	_build/jb2/.venv/bin/pip install --quiet --disable-pip-version-check "jupyter-book>=2,<3"
	cp -r book _build/jb2/book && cp _config.yml _toc.yml _build/jb2/book
	cd _build/jb2/book && (echo n | ../.venv/bin/jupyter-book init; ../.venv/bin/jupyter-book build --site --ci) > ../log 2>&1 || true
	grep -oE "(⛔️|⚠️).*" _build/jb2/log | sed -E 's/^(\S+) +[^ ]+\.(md|ipynb)[0-9:]* +/\1 /' | cut -c1-60 | sort | uniq -c | sort -rn || true

links: export BOOK_PAGES := committed
links: $(READY)  # asks every address outside the book whether it still answers
	jupyter-book build book --builder custom --custom-builder linkcheck; code=$$?; rm -r _build/.doctrees; exit $$code

test: export OMP_NUM_THREADS := 1
test: $(READY)
	python -m attention_in_motion check-builder
	ruff check . && ruff format --check .
	pytest -n $(WORKERS) --dist loadfile
	pytest -n $(WORKERS) --dist loadfile --nbval --nbval-current-env --nbval-kernel-startup-timeout=3600 -p no:warnings book

test-browser: .venv/browser
	pytest -m browser tests/browser

test-official: .venv-official/ready
	.venv-official/bin/python -m pytest -m official tests/official

faults: export OMP_NUM_THREADS := 1
faults: export FAULTS := 1
faults: $(READY)
	pytest tests/faults

outputs: $(READY)
	python -m attention_in_motion outputs

retrain: $(READY)
	python -m attention_in_motion retrain $(CHAPTER)

bench: $(READY)
	for script in benchmarks/*.py; do python $$script || exit 1; done

clean:
	rm -rf _build runs .pytest_cache .ruff_cache

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python >= 3.11 is needed, this is ' + sys.version.split()[0])"
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv-official/ready: requirements.txt requirements-official.txt
	$(PYTHON) -m venv .venv-official
	.venv-official/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-official.txt
	.venv-official/bin/pip install --quiet --disable-pip-version-check --no-deps odeformer==0.1.7
	touch $@

.venv/browser: $(READY) requirements-browser.txt
	python -m pip install --quiet --disable-pip-version-check -r requirements-browser.txt
	touch $@
