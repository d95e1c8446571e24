//! The units a package puts beside the applier, by name.

pub const UNITS: [(&str, &str); 3] = [
    ("ravelin-restore", include_str!("../../../../packaging/ravelin-restore.service")),
    ("ravelin-closed", include_str!("../../../../packaging/ravelin-closed.service")),
    ("ravelin-addresses", include_str!("../../../../packaging/ravelin-addresses.service")),
];
