# `make` alone lists what there is. Times are those of two cores of a recent processor.

.PHONY: help run tiny best predict experiments test quick miri sanitize bench peers picture

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Unlike `cargo run`, `cargo install` asks for none of the tests' dependencies: it needs no network.
build = @echo 'building $(1): half a minute if anything has changed' >&2 && \
	cargo install --quiet --path . --bin $(1) --root target --no-track --force
program = $(build) && target/bin/$(1)

run: ## train with src/main.rs's settings: seconds
	$(call program,mnist-mlp)

tiny: ## an epoch in plain loops: 15 s
	$(call program,tiny)

best: ## train it at its best: half a minute
	$(call program,best)

predict: ## test the network in runs/latest: a second
	$(call program,predict) runs/latest/model.safetensors

experiments: ## repeat results/'s experiments: an hour
	$(call program,experiments)

bench: ## time products and an epoch: a minute
	$(call program,bench)

peers: ## the same of NumPy, JAX, PyTorch: 15 min
	$(call build,bench)
	python3 -m venv target/peers
	target/peers/bin/pip install --quiet numpy jax torch
	target/peers/bin/python tests/peers/compare.py target/bin/bench numpy jax torch

test: ## all that a change must pass: two minutes
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet
	cargo test

quick: ## compile, then the tests that take seconds
	cargo test -- --skip training --skip experiments --skip session

# Needs Chromium and the Python package selenium.
picture: ## take README.md's picture of the page
	python3 .ci/page_picture.py results/draw.html results/page.png

# Needs `rustup toolchain install nightly --component miri`.
miri: ## check the kernels' use of memory
	RUSTFLAGS='-C target-feature=+avx512f,+avx2,+fma,+bmi1,+bmi2' cargo +nightly miri test --test all every_edge_of

# Needs `rustup toolchain install nightly`.
sanitize: ## the same by AddressSanitizer: 4 minutes
	RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target x86_64-unknown-linux-gnu --test all math::
