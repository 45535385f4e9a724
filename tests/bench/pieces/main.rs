//! The pieces that a profile of the server names, each by itself and in this process:
//! `cargo bench --bench pieces`. What they come to together, over a network, is
//! measured by `tests/bench/run`.

mod door;
mod house;
mod store;
mod tokens;

use criterion::Criterion;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let house = house::House::new();
    let mut criterion = Criterion::default().configure_from_args();
    door::bench(&mut criterion, &house);
    tokens::bench(&mut criterion, &house);
    store::bench(&mut criterion, &house);
    criterion.final_summary();
}
