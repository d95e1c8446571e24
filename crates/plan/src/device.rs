//! What machines reported: which device stands in which zone, and whether UFW filters there. In come the site file's own words
//! and the reports, out comes one name for a device.

use site::model::{Host, Model};
use std::collections::{BTreeMap, BTreeSet};
use words::{HostName, ZoneName};

/// Longest device name in bytes: the kernel's `IFNAMSIZ` is 16 with the terminating zero.
pub const MAX_DEVICE: usize = 15;

/// What machines reported of themselves: devices by zone, and whether UFW is active.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// Reported names; empty where nothing was reported.
    pub reported: BTreeMap<HostName, BTreeMap<ZoneName, String>>,
    /// Machines that reported an active UFW.
    pub ufw: BTreeSet<HostName>,
}

impl Devices {
    /// The device of a machine in a zone: what the site file says, else what was reported, else the zone's name cut to
    /// what the kernel takes.
    pub fn device(&self, host: &Host, zone: &ZoneName) -> String {
        host.interface(zone)
            .and_then(|i| i.device.clone())
            .or_else(|| self.reported.get(&host.name).and_then(|z| z.get(zone)).cloned())
            .unwrap_or_else(|| default_device(zone))
    }
    /// Every zone a machine stands in, with its device. An edge node stands in every zone it has an address or a virtual
    /// address in, and in `internet`.
    pub fn of(&self, model: &Model, host: &Host) -> BTreeMap<ZoneName, String> {
        let mut zones: std::collections::BTreeSet<&ZoneName> = host.interfaces.iter().map(|i| &i.zone).collect();
        if host.edge {
            zones.extend(model.edge.vip.keys());
            zones.extend(model.zones.keys().filter(|z| z.is_internet()));
        }
        zones.into_iter().map(|z| (z.clone(), self.device(host, z))).collect()
    }
}

/// A zone's name cut to [`MAX_DEVICE`] bytes: names are ASCII, so any cut is a character boundary.
pub fn default_device(zone: &ZoneName) -> String {
    zone.as_str().chars().take(MAX_DEVICE).collect()
}
