# The sections of .ci/run: first which there are and in what order, cheap ones first; then what each
# does. A section is a function that ends with an error if something does not hold; it may call
# `skip REASON` and `fail REASON`, and leaves its files in $scratch.
# shellcheck shell=bash disable=SC2154

run_fast() {
    section 'tools' check_tools
    section 'the lock file is complete' check_lock_file
    section 'format' check_format
    section 'tidy' check_tidy
    section 'clippy' check_clippy
    section 'tests of the pure crate' test_pure_crate
}

run_everything() {
    section 'tools' check_tools
    section 'system tools' install_system_tools
    section 'the lock file is complete' check_lock_file
    section 'format' check_format
    section 'tidy' check_tidy
    section 'clippy' check_clippy
    section 'licences, sources, advisories' check_dependencies
    section 'fuzz targets' check_fuzz_targets
    together 'tests' run_tests \
        'the pure crate without an operating system' check_pure_crate_alone
    together 'the page' check_page 'planted bugs are found by the seeds' find_planted_bugs
    section 'documentation' check_documentation
    together 'release build' build_release 'thousands of requests to the API' ask_the_api
    section '5 real nodes' run_5_nodes 'release build'
    section '50 real nodes' run_50_nodes 'release build'
    section 'a thousand simulated nodes, twice' run_1000_nodes 'release build'
    section 'a soak of real nodes' run_soak 'release build'
}

check_tools() {
    command -v cargo >/dev/null || fail 'there is no cargo: install Rust'
    cargo --version
    local component
    for component in rustfmt clippy; do
        if ! cargo "${component/rust/}" --version >/dev/null 2>&1; then
            rustup component add "$component"
        fi
    done
}

install_system_tools() {
    local missing=()
    command -v ip >/dev/null || missing+=(iproute2)
    command -v nft >/dev/null || missing+=(nftables)
    command -v iptables >/dev/null || missing+=(iptables)
    command -v sysctl >/dev/null || missing+=(procps)
    command -v turnserver >/dev/null || missing+=(coturn)
    command -v miniupnpd >/dev/null || missing+=(miniupnpd-nftables)
    command -v unshare >/dev/null || missing+=(util-linux)
    command -v cc >/dev/null || missing+=(build-essential)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    command -v npm >/dev/null || missing+=(npm)
    command -v chromium >/dev/null || missing+=(chromium)
    command -v prometheus >/dev/null || missing+=(prometheus)
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        {
            DEBIAN_FRONTEND=noninteractive timeout 300 apt-get update -qq &&
                DEBIAN_FRONTEND=noninteractive timeout 300 \
                    apt-get install -y -qq --no-install-recommends "${missing[@]}"
        } >"$scratch/apt" 2>&1 || {
            tail -n 5 "$scratch/apt"
            skip "${missing[*]} could not be installed; tests that need them say so and pass"
        }
        # Debian starts what it installs; the tests start their own, where nobody else reaches it.
        local service
        for service in coturn miniupnpd; do
            if [[ " ${missing[*]} " == *" $service"* ]] && command -v systemctl >/dev/null; then
                systemctl disable --quiet --now "$service" 2>/dev/null || true
            fi
        done
    else
        skip "${missing[*]} not installed (not root, or no apt-get); tests that need them say so"
    fi
}

check_lock_file() { cargo metadata --locked --format-version 1 >/dev/null; }

check_format() { cargo fmt --all --check; }

check_tidy() { cargo xtask tidy; }

check_clippy() { cargo clippy --workspace --all-targets -- -D warnings; }

check_dependencies() {
    if command -v cargo-deny >/dev/null; then
        cargo deny check
    else
        skip 'cargo-deny is not installed (cargo install cargo-deny --locked)'
    fi
}

# The stable compiler checks them; to run them takes a nightly one and cargo-fuzz (fuzz/README.md).
# Their checks are part of the tests below.
check_fuzz_targets() {
    if cargo fetch --quiet --manifest-path fuzz/Cargo.toml --locked 2>"$scratch/fetch"; then
        cargo check --manifest-path fuzz/Cargo.toml --locked \
            --target-dir "${CARGO_TARGET_DIR:-target}"
    else
        tail -n 3 "$scratch/fetch"
        skip 'libfuzzer-sys cannot be fetched'
    fi
}

test_pure_crate() { cargo test -p positron-proto --no-fail-fast; }

# Examples too: tests/examples.rs runs each and reads what it says.
run_tests() { cargo test --workspace --no-fail-fast; }

# The command as the tests have it: built alone, its dependencies have other features, and half of
# them are built anew.
build_command() { cargo test --workspace --no-run --test command; }

# That dist/ is what the sources make, and that it works in a browser, served by a node of this build.
check_page() {
    if ! command -v npm >/dev/null || ! node -e 'process.exit(+(parseInt(process.versions.node) < 20))'; then
        skip 'no npm here, or a Node.js before 20'
        return
    fi
    command -v chromium >/dev/null || skip 'no chromium here: the page is built and not opened'
    build_command
    (
        cd web
        npm ci
        npm run verify
        npm test
    )
}

find_planted_bugs() { cargo xtask mutants; }

ask_the_api() {
    build_command
    .ci/api "${CARGO_TARGET_DIR:-target}/debug/positron-net"
}

check_documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps; }

check_pure_crate_alone() { .ci/wasm; }

# Optimised as a release, but crate by crate: what is run here is a tenth slower and built in half
# the time.
build_release() {
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo build --release -p positron-net
}

# Where the release build leaves the command.
net=${CARGO_TARGET_DIR:-target}/release/positron-net

run_5_nodes() { run_nodes 5; }

run_50_nodes() { run_nodes 50; }

# The README's command, for ten seconds. The binary checks its own promises and says 8 if one is
# broken; the sums are checked once more here, because a check that counts nothing passes too.
run_nodes() {
    local count=$1 nodes broadcasts expected
    "$net" simulate --count "$count" --duration 10 --json >"$scratch/real"
    cat "$scratch/real"
    nodes=$(number "$scratch/real" nodes)
    broadcasts=$(number "$scratch/real" broadcasts)
    expected=$(number "$scratch/real" expected_deliveries)
    [ "$nodes" -eq "$count" ] || fail "$nodes nodes of $count"
    [ "$(number "$scratch/real" connected_nodes)" -eq "$count" ] || fail 'not all were connected'
    [ "$broadcasts" -ge 50 ] || fail "only $broadcasts broadcasts in 10 s"
    [ "$expected" -eq $((broadcasts * (nodes - 1))) ] || fail "$expected deliveries were expected"
    [ "$(number "$scratch/real" deliveries)" -eq "$expected" ] || fail 'a delivery is missing'
    [ "$(number "$scratch/real" duplicate_deliveries)" -eq 0 ] || fail 'a message came twice'
}

run_1000_nodes() {
    local run hash runs=()
    # At once: each takes one processor. Where one fails, the other ends with it.
    trap 'kill "${runs[@]}" 2>/dev/null || true' EXIT
    for run in first second; do
        "$net" simulate --virtual --count 1000 --seed 7 --json >"$scratch/$run" &
        runs+=($!)
    done
    for run in "${runs[@]}"; do
        wait "$run"
    done
    cat "$scratch/first"
    hash=$(text "$scratch/first" run_hash)
    [ -n "$hash" ] || fail 'the run has no hash'
    [ "$hash" = "$(text "$scratch/second" run_hash)" ] || fail 'one seed made two different runs'
    "$net" simulate --virtual --count 100 --seed 7 --json >"$scratch/small"
    "$net" simulate --virtual --count 100 --seed 8 --json >"$scratch/other"
    [ "$(text "$scratch/small" run_hash)" != "$(text "$scratch/other" run_hash)" ] ||
        fail 'two seeds made the same run'
    [ "$(number "$scratch/first" nodes)" -eq 1000 ] || fail 'not 1000 nodes'
    [ "$(number "$scratch/first" deliveries)" -gt 0 ] || fail 'nothing was delivered'
    printf 'both runs have the hash %s\n' "$hash"
}

# Half a minute of load and faults on processes; that of made-up worlds is among the tests.
run_soak() {
    "$net" soak --real --nodes 8 --minutes 0.4 --json >"$scratch/soak"
    cat "$scratch/soak"
    [ "$(number "$scratch/soak" took)" -gt 0 ] || fail 'nothing was taken'
    [ "$(number "$scratch/soak" deliveries)" -ge $((7 * $(number "$scratch/soak" took))) ] ||
        fail 'a delivery is missing'
}

# The number that stands under a key in a JSON document, wherever it is.
number() {
    grep -oE "\"$2\" *: *[0-9]+" "$1" | sed -n '1s/.*[^0-9]//p' ||
        fail "there is no number $2 in the report"
}

# The text that stands under a key in a JSON document.
text() {
    grep -oE "\"$2\" *: *\"[^\"]*\"" "$1" | sed -n '1s/^.*"\([^"]*\)"$/\1/p' ||
        fail "there is no text $2 in the report"
}
