//! The whole truth of the examples: every ordered pair of machines, every port of the catalogue, both families; the model,
//! the proof over what the kernels hold, and the kernels themselves.

mod common;

fn whole(test: &str, example: &str) {
    if common::inside(test) {
        common::whole_truth(example, common::example(example));
    }
}

#[test]
fn single_host() {
    whole("single_host", "single-host");
}

#[test]
fn small() {
    whole("small", "small");
}

#[test]
fn curio_cluster() {
    whole("curio_cluster", "curio-cluster");
}
