# `make` alone lists what there is.

.PHONY: help run best experiments test miri bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## train the network that get_config in src/main.rs describes
	@cargo run --release

best: ## train the same network at its best: 99.3 % in two minutes, into runs/best
	@cargo run --release --bin best

experiments: ## repeat every experiment of the coursework with ten seeds each, into results/
	@cargo run --release --bin experiments

test: ## everything that a contributor must pass
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet
	cargo test

miri: ## check the kernels' use of memory; needs `rustup toolchain install nightly --component miri`
	RUSTFLAGS='-C target-feature=+avx512f,+avx2,+fma,+bmi1,+bmi2' cargo +nightly miri test --test all math::memory

bench: ## time the products, an epoch and evaluation beside this machine's peak
	@cargo run --release --bin bench
