//! The methods that can be called. A closed list: what is not here cannot be asked, and nothing here changes anything. Permissions are
//! those of lotus `api/proxy_gen.go`, Forest `src/rpc/methods/state.rs`, `chain.rs` and Curio `api/proxy_gen.go`.

/// Permission a method wants. `Read` needs no token: a request without one has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// No token needed.
    Read,
    /// The node's whole power, whatever the method does with it.
    Admin,
}

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Head of the chain.
    ChainHead,
    /// The tipset at a height, or the last before it.
    ChainGetTipSetByHeight,
    /// The open deadline of a miner.
    StateMinerProvingDeadline,
    /// Proofs that landed, by deadline.
    StateMinerDeadlines,
    /// Partitions of a deadline; a gateway does not have it.
    StateMinerPartitions,
    /// lotus-miner: jobs of its workers.
    WorkerJobs,
    /// Curio: the node, cordoned or not.
    Info,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ChainHead,
        Self::ChainGetTipSetByHeight,
        Self::StateMinerProvingDeadline,
        Self::StateMinerDeadlines,
        Self::StateMinerPartitions,
        Self::WorkerJobs,
        Self::Info,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChainHead => "Filecoin.ChainHead",
            Self::ChainGetTipSetByHeight => "Filecoin.ChainGetTipSetByHeight",
            Self::StateMinerProvingDeadline => "Filecoin.StateMinerProvingDeadline",
            Self::StateMinerDeadlines => "Filecoin.StateMinerDeadlines",
            Self::StateMinerPartitions => "Filecoin.StateMinerPartitions",
            Self::WorkerJobs => "Filecoin.WorkerJobs",
            Self::Info => "Filecoin.Info",
        }
    }
    /// The permission it wants.
    pub fn permission(self) -> Permission {
        if self == Self::WorkerJobs { Permission::Admin } else { Permission::Read }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_is_on_the_list() {
        for m in Method::ALL {
            let name = m.name().strip_prefix("Filecoin.").expect("the namespace");
            assert!(["ChainHead", "ChainGet", "StateMiner", "WorkerJobs", "Info"].iter().any(|p| name.starts_with(p)), "{name}");
        }
        assert_eq!(Method::ALL.iter().filter(|m| m.permission() == Permission::Admin).count(), 1);
    }
}
