# `make` alone lists what there is. Times are those of two cores of a recent processor.

.PHONY: help run tiny best predict experiments test quick miri bench peers picture

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Unlike `cargo run`, `cargo install` asks for none of the tests' dependencies: it needs no network.
build = @echo 'building $(1): half a minute if anything has changed' && \
	cargo install --quiet --path . --bin $(1) --root target --no-track --force
program = $(build) && target/bin/$(1)

run: ## train the network that get_config in src/main.rs describes, into runs/latest: seconds
	$(call program,mnist-mlp)

tiny: ## train an epoch in the plain loops of src/bin/tiny.rs and with the fast program: a quarter of a minute
	$(call program,tiny)

best: ## train the same network at its best, into runs/best: half a minute
	$(call program,best)

predict: ## test the network of runs/latest and print its confusion matrix: a second
	$(call program,predict) runs/latest/model.safetensors raw_data/t10k-images-idx3-ubyte.gz raw_data/t10k-labels-idx1-ubyte.gz

experiments: ## repeat every experiment with each of its seeds, into results/: an hour
	$(call program,experiments)

bench: ## time the products, an epoch and evaluation beside this machine's peak: a minute
	$(call program,bench)

peers: ## time NumPy, JAX and PyTorch beside it on one core and on all: gigabytes to download, a quarter of an hour
	$(call build,bench)
	python3 -m venv target/peers
	target/peers/bin/pip install --quiet numpy jax torch
	target/peers/bin/python tests/peers/compare.py target/bin/bench numpy jax torch

test: ## everything that a contributor must pass: two minutes
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet
	cargo test

quick: ## the tests that take no longer than a few seconds
	cargo test -- --skip training --skip experiments --skip session

picture: ## take the picture of the page in README.md; needs Chromium and the Python package selenium
	python3 .ci/page_picture.py results/draw.html results/page.png

miri: ## check the kernels' use of memory; needs `rustup toolchain install nightly --component miri`
	RUSTFLAGS='-C target-feature=+avx512f,+avx2,+fma,+bmi1,+bmi2' cargo +nightly miri test --test all every_edge_of_every_tile
