# MotherFluxer's few words. `make help` lists them.
VENV ?= .venv
PY := $(VENV)/bin/python
export VENV PYTHON PORT WEB HTTP_PORT HTTPS_PORT
export PYTHONUNBUFFERED = 1

COMPILE = $(abspath $(VENV))/bin/python -m piptools compile -q --no-header --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

ifeq ($(strip $(PORT)),)
unexport PORT
endif
$(foreach name,WEB HTTP_PORT HTTPS_PORT,$(if $(strip $($(name))),,$(eval unexport $(name))))

.DEFAULT_GOAL := help
.PHONY: help run up roll down test check bench fuzz lock

help: ## this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/'

run: $(VENV)/.installed-run ## start the site and one model instance (PORT=8000)
	@$(PY) -m motherfluxer.local --bound-to-parent

up: ## start the whole site in containers, behind TLS (WEB=2 HTTP_PORT=80 HTTPS_PORT=443)
	@docker/composition up

roll: ## let its processes begin anew one at a time, with changed secrets and settings
	@docker/composition roll

down: ## stop those containers; everything is kept
	@docker/composition down

test: $(VENV)/.installed-dev ## run the whole suite, also on real PostgreSQL and Redis
	@$(PY) -m tests.run

check: $(VENV)/.installed-dev ## format, lint, types, imports, deploy check, migrations beside the version before
	@$(PY) -m tests.check

bench: $(VENV)/.installed-dev ## measure, and print tables
	@$(PY) -m benchmarks.first_token
	@$(PY) -m benchmarks.decision_cost
	@$(PY) -m benchmarks.router_latency
	@$(PY) -m benchmarks.api_cost
	@$(PY) -m benchmarks.demo_limit
	@$(PY) -m benchmarks.apart_cost
	@$(PY) -m benchmarks.apart_journal
	@$(PY) -m benchmarks.apart_letters
	@$(PY) -m benchmarks.servers
	@$(PY) -m benchmarks.engine_batching

fuzz: $(VENV)/.installed-dev ## let schemathesis ask the API whatever its schema allows, over 10,000 times
	@$(PY) -m tests.fuzzing

lock: $(VENV)/.installed-dev ## write requirements/*.txt and the container's anew from the *.in
	@cd requirements && for name in base production model dev checkov; do \
		$(COMPILE) --unsafe-package torch -o $$name.txt $$name.in || exit 1; done
	@cd model_container/requirements && for name in build link cpu cuda; do \
		$(COMPILE) --allow-unsafe --generate-hashes $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL)) \
			-o $$name.txt $$name.in || exit 1; done

$(VENV)/.installed-run: requirements/base.txt requirements/model.txt requirements/model.in model_container/pyproject.toml
	@requirements/install run
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-run requirements/dev.txt requirements/checkov.txt
	@requirements/install dev
	@touch $@
