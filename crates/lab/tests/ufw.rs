//! The whole truth of examples whose hosts UFW filters: every ordered pair of machines, every port of the catalogue, both families;
//! the model, the proof over what the kernels hold in UFW's chains, and the kernels themselves.

mod common;

use site::model::Firewall;

fn whole(test: &str, example: &str) {
    if !common::inside(test) {
        return;
    }
    let mut model = common::example(example);
    for host in model.hosts.values_mut().filter(|h| !h.edge) {
        host.firewall = Firewall::Ufw;
    }
    let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
    assert!(plan.machines.values().any(|m| m.ufw.is_some()), "UFW filters some");
    common::whole_truth(example, model);
}

#[test]
fn single_host() {
    whole("single_host", "single-host");
}

#[test]
fn small() {
    whole("small", "small");
}
