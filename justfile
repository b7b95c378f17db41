# lists the recipes
default:
    @just --list

# a scripted show on the embedded default
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# every test, on real servers too
test *FILTERS:
    scripts/test {{FILTERS}}

# format, then every lint as an error
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# what is generated and committed
generate:
    cargo run -q -- openapi > openapi/openapi.json
    cargo run -q -- asyncapi > openapi/asyncapi.json
    cargo run -q -- config print --example > onair.example.toml

# PostgreSQL, Redis and Kafka on free ports: just services start
services *ARGS:
    scripts/services {{ARGS}}

# the full counts of the long tests
soak:
    scripts/soak
