//! Building a lab, and taking it down by letting go of it.

use super::batch;
use super::census::NamespaceId;
use super::error::LabError;
use super::guardian::Guardian;
use super::iproute::{self, Batch};
use super::namespace::{Identity, Namespace, Recipe, caller_is_capable};
use super::spec::{LabMode, LabSpec};
use super::sysctl;

/// A lab that is up. Dropping it ends every process in it and removes it.
pub struct Lab {
    pub(super) spec: LabSpec,
    // Fields are dropped in this order: the guardian does its work while the namespaces are held.
    pub(super) guardian: Guardian,
    /// One for each node, in order; empty on loopback.
    pub(super) nodes: Vec<Namespace>,
    /// Kept for as long as the nodes, whose veths end in it.
    #[expect(dead_code, reason = "held, not used: its descriptors keep the namespace alive")]
    switch: Option<Namespace>,
    pub(super) namespace_ids: Vec<NamespaceId>,
    /// How many runs there were, so that each has another rendezvous port.
    pub(super) runs: u16,
}

impl Lab {
    /// Builds a lab.
    ///
    /// Root makes the namespaces directly; anybody else makes them in a user namespace, where the
    /// command then runs as root, mapped to the caller. This process itself stays where and who it is.
    ///
    /// # Errors
    /// [`LabError::Spec`] for an impossible shape; [`LabError::NotPermitted`] where neither way is
    /// open; others if iproute2 or the kernel lacks something.
    pub fn up(spec: LabSpec) -> Result<Self, LabError> {
        spec.validate()?;
        let (nodes, switch) = match spec.mode {
            LabMode::Namespaces => {
                let identity = if caller_is_capable() { Identity::Caller } else { Identity::NewUser };
                let (nodes, switch) = build(&spec, identity)?;
                (nodes, Some(switch))
            }
            LabMode::Loopback => (Vec::new(), None),
        };
        let held: Vec<_> = nodes.iter().chain(&switch).map(|namespace| namespace.net().clone()).collect();
        let namespace_ids = held
            .iter()
            .map(|fd| NamespaceId::of(fd))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|errno| LabError::run("look at a namespace")(errno.into()))?;
        let guardian = Guardian::start(&held).map_err(LabError::run("start the guardian"))?;
        Ok(Self { spec, guardian, nodes, switch, namespace_ids, runs: 0 })
    }

    /// The shape it was built with.
    #[must_use]
    pub fn spec(&self) -> &LabSpec {
        &self.spec
    }
}

fn build(spec: &LabSpec, identity: Identity) -> Result<(Vec<Namespace>, Namespace), LabError> {
    let recipe = Recipe { host_name: "switch".to_owned(), identity, sysctls: sysctl::switch(), peer: None };
    // The switch's `ip` waits for its commands until the nodes have made its interfaces.
    let (switch, switch_ip) = Namespace::create(recipe)?;
    let mut nodes = Vec::with_capacity(usize::from(spec.nodes));
    for node in 0..spec.nodes {
        let recipe = Recipe {
            host_name: super::node_name(node),
            identity: switch.identity(),
            sysctls: sysctl::node(spec.nic_rate),
            peer: Some(switch.net().clone()),
        };
        let (namespace, ip) = Namespace::create(recipe)?;
        ip.run(&batch::node_ip(spec, node, &switch.to_string()))?;
        if let Some(rate) = spec.nic_rate {
            limit(&namespace, super::node_name(node), &batch::node_tc(spec, node, rate))?;
        }
        nodes.push(namespace);
    }
    switch_ip.run(&batch::switch_ip(spec))?;
    if let Some(rate) = spec.nic_rate {
        limit(&switch, "switch".to_owned(), &batch::switch_tc(spec, rate))?;
    }
    Ok((nodes, switch))
}

/// Runs `tc` in a namespace.
fn limit(namespace: &Namespace, place: String, lines: &str) -> Result<(), LabError> {
    let mut command = iproute::command("tc")?;
    namespace.enter_on_exec(&mut command);
    let child = command
        .spawn()
        .map_err(|source| LabError::Setup { step: format!("start tc for {place}"), cause: source })?;
    Batch::new("tc", place, child).run(lines)
}
