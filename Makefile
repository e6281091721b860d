# make run    fetches libtorch, builds, trains the main scenario
# make test   the same set-up, then every everyday test
# make data   fetches the pictures that supervised/digits and supervised/fashion-mnist learn from
AGON_DEPS ?= $(HOME)/.cache/agon
export AGON_DEPS
PYTHON ?= python3
CARGO ?= cargo
SCENARIO ?= scenarios/pricing/tuna.toml

.PHONY: deps data build run test test-long test-cuda miri lint clean

deps:
	@mkdir -p .deps
	@if [ -n "$$LIBTORCH" ]; then ln -sfn "$$LIBTORCH" .deps/libtorch; else \
	  $(PYTHON) scripts/libtorch.py $(if $(CUDA),--cuda) && \
	  ln -sfn "$$($(PYTHON) scripts/libtorch.py --print)" .deps/libtorch; fi
	@$(PYTHON) scripts/mujoco.py && ln -sfn "$$($(PYTHON) scripts/mujoco.py --print)" .deps/mujoco

data:
	$(PYTHON) scripts/data.py

build: deps
	$(CARGO) build --release

run: build
	target/release/agon train $(SCENARIO)

test: deps
	$(CARGO) test --workspace

# Everything that takes minutes. Tests that need a CUDA device are apart.
test-long: deps
	$(CARGO) test --workspace --release -- --include-ignored --skip cuda_

test-cuda: deps
	LD_PRELOAD=libtorch_cuda.so $(CARGO) test --release -p agon-agents --test cuda -- --ignored

# The thread pool under an interpreter that sees undefined behaviour and data races; needs nightly Rust with Miri.
miri:
	$(CARGO) +nightly miri test --package agon-core --lib thread_pool --target-dir target/miri

lint: deps
	$(CARGO) fmt --all --check
	$(PYTHON) tests/architecture.py
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --package agon --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --workspace --no-deps

clean:
	$(CARGO) clean
