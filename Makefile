# Every target sets up what it needs by itself, and at once when nothing changed.
# ARGS goes on to the command:      make test ARGS="-k ladder"
# PYTHON is for the set-up only:    make PYTHON=python3.12 demo

PYTHON ?= python3
ARGS ?=
# Files of tests side by side; AT_ONCE= runs them one after the other.
AT_ONCE ?= -n 3 --dist loadfile --no-loadscope-reorder
SETUP = @$(PYTHON) deploy/setup/bootstrap.py --for
VENV_PYTHON = .venv/bin/python
CHECKED = remediation dashboard deploy bench tests manage.py

.DEFAULT_GOAL := help
.PHONY: help demo test faults invariants demo-faults pages run lint typecheck format lock bench bench-evaluate bench-reaction bench-live bench-detect screenshots messages clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

demo: ## start Homeostat with a shop of real services to break and watch
	$(SETUP) demo
	@exec $(VENV_PYTHON) manage.py demo --with-parent $(ARGS)

test: ## run the tests, on the real servers and in a real browser
	$(SETUP) test
	@exec $(VENV_PYTHON) -m pytest $(AT_ONCE) $(ARGS)

faults: ## kill, cut and lie to the real processes, and compare ledger and database: ten minutes
	$(SETUP) test
	@exec $(VENV_PYTHON) -m tests.faults $(ARGS)

invariants: ## prove each invariant: its tests as the product is, and with it broken on purpose: one to three minutes
	$(SETUP) test
	@exec $(VENV_PYTHON) -m tests.broken $(ARGS)

demo-faults: ## break everything the demo can break and check that it is repaired: ten minutes
	$(SETUP) test
	@exec $(VENV_PYTHON) -m pytest -m "faults or acceptance" tests/acceptance $(ARGS)

pages: ## look at every page in a browser: accessibility, policy, language, width; what the tests do in part
	$(SETUP) test
	@HOMEOSTAT_EVERY_PAGE=1 exec $(VENV_PYTHON) -m pytest tests/dashboard/test_axe_browser.py tests/dashboard/test_admin_axe_browser.py tests/dashboard/test_csp_browser.py tests/dashboard/test_chinese_browser.py tests/dashboard/test_admin_phone_browser.py $(ARGS)

run: ## start Homeostat for your own Prometheus: PROMETHEUS_URL=... make run
	$(SETUP) run
	@exec $(VENV_PYTHON) manage.py up --with-parent $(ARGS)

lint: ## check style and formatting
	$(SETUP) lint
	@$(VENV_PYTHON) -m ruff check . $(ARGS)
	@$(VENV_PYTHON) -m ruff format --check .

typecheck: ## check the types
	$(SETUP) lint
	@exec $(VENV_PYTHON) -m mypy $(CHECKED) $(ARGS)

format: ## format the code and fix what can be fixed safely
	$(SETUP) lint
	@$(VENV_PYTHON) -m ruff format .
	@$(VENV_PYTHON) -m ruff check --fix .

bench: ## measure what evaluating rules costs, how long a repair takes to start, and how well faults are found
	$(SETUP) test
	@$(VENV_PYTHON) -m bench.evaluate
	@$(VENV_PYTHON) -m bench.reaction
	@$(VENV_PYTHON) -m bench.alerts
	-@$(VENV_PYTHON) -m bench.pages
	-@$(VENV_PYTHON) -m bench.live
	-@$(VENV_PYTHON) -m bench.detect # needs the labelled series, which are no part of the repository

bench-evaluate: ## what evaluating rules costs, beside Prometheus itself; ARGS=--full for the largest sizes
	$(SETUP) test
	@exec $(VENV_PYTHON) -m bench.evaluate $(ARGS)

bench-reaction: ## how long a repair takes to start
	$(SETUP) test
	@$(VENV_PYTHON) -m bench.reaction
	@exec $(VENV_PYTHON) -m bench.alerts $(ARGS)

bench-live: ## how long a change takes to a thousand browsers, what that costs, and whether the loop notices
	$(SETUP) test
	@exec $(VENV_PYTHON) -m bench.live $(ARGS)

bench-detect: ## score every detector on public labelled series (they lie beside the repository)
	$(SETUP) test
	@exec $(VENV_PYTHON) -m bench.detect $(ARGS)

screenshots: ## make the pictures of the README anew
	$(SETUP) test
	@exec $(VENV_PYTHON) -m deploy.screenshots $(ARGS)

messages: ## bring the translations' files up to date with the texts that are marked; ARGS=--missing only lists
	$(SETUP) run
	@exec $(VENV_PYTHON) manage.py messages $(ARGS)

lock: ## pin the newest packages that the lists in deploy/setup allow
	$(SETUP) lint
	@exec $(VENV_PYTHON) -m deploy.setup.lock

clean: ## remove all that was set up here; what Homeostat stored (var) stays
	rm -rf .venv .tools deploy/setup/frontend/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .coverage htmlcov staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
