//! Prints `METRICS.md`: `cargo run -p positron-networking --example metrics_page > METRICS.md`.

fn main() {
    print!("{}", positron_networking::metrics::page());
}
