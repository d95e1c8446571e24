//! Rules that must never be linked, each with the assertion that refuses it. Planted into the machine of case `shared-account`.

/// Assertion and rule, one a line of the planted module.
pub const MUTANTS: &[(&str, &str)] = &[
    ("private-lotus", "(allow ravelin_lotus_worker_t ravelin_lotus_keystore_t (file (read)))"),
    ("private-lotus", "(allow ravelin_boostd_data_t ravelin_lotus_token_t (file (read)))"),
    ("private-lotus_miner", "(allow ravelin_lotus_t ravelin_lotus_miner_keystore_t (dir (read)))"),
    ("private-lotus_worker", "(allow ravelin_lotus_miner_t ravelin_lotus_worker_token_t (file (write)))"),
    ("private-lotus", "(allow ravelin_lotus_miner_t ravelin_lotus_environment_t (file (open)))"),
    ("processes-lotus", "(allow ravelin_lotus_worker_t ravelin_lotus_t (process (sigkill)))"),
    ("no-transition", "(allow ravelin_lotus_t unconfined_t (process (transition)))"),
    ("no-transition", "(allow ravelin_lotus_worker_tool_t sysadm_t (process (transition)))"),
    ("no-transition", "(allow ravelin_lotus_t init_t (process (dyntransition)))"),
    ("no-transition", "(allow ravelin_lotus_t ravelin_lotus_miner_t (process (transition)))"),
    ("no-context", "(allow ravelin_lotus_t self (process (setexec)))"),
    ("no-program-write", "(allow ravelin_lotus_t ravelin_lotus_exec_t (file (write)))"),
    ("no-program-write", "(allow ravelin_lotus_t bin_t (file (append)))"),
    ("no-unit-write", "(allow ravelin_lotus_t systemd_unit_t (file (write)))"),
    ("no-unit-write", "(allow ravelin_lotus_t systemd_unit_t (service (start)))"),
    ("no-unit-write", "(allow ravelin_lotus_t init_t (system (reload)))"),
    ("no-foreign-write", "(allow ravelin_lotus_t etc_t (file (write)))"),
    ("no-foreign-write", "(allow ravelin_lotus_t system_cron_spool_t (file (create)))"),
    ("no-foreign-write", "(allow ravelin_lotus_t etc_t (dir (add_name)))"),
    ("no-foreign-write", "(allow ravelin_lotus_t shadow_t (file (append)))"),
    ("no-write-and-execute", "(allow ravelin_lotus_t ravelin_lotus_repo_t (file (execute)))"),
    ("no-write-and-execute", "(allow ravelin_lotus_worker_tool_t ravelin_store_mnt_sealed_t (file (execute_no_trans)))"),
    ("no-relabel", "(allow ravelin_lotus_t ravelin_lotus_repo_t (file (relabelfrom)))"),
    ("no-foreign-program", "(allow ravelin_lotus_t su_exec_t (file (execute)))"),
    ("no-foreign-program", "(allow ravelin_lotus_worker_tool_t sudo_exec_t (file (execute)))"),
    ("no-shell", "(allow ravelin_lotus_t shell_exec_t (file (execute_no_trans)))"),
    ("no-capability", "(allow ravelin_lotus_t self (capability (sys_admin)))"),
    ("no-capability", "(allow ravelin_lotus_t self (capability (dac_override)))"),
    ("no-capability", "(allow ravelin_lotus_t self (capability2 (mac_admin)))"),
    ("no-capability", "(allow ravelin_lotus_t self (capability2 (bpf)))"),
    ("no-capability", "(allow ravelin_lotus_t self (cap_userns (sys_admin)))"),
    ("no-low-port, no-raw-socket", "(allow ravelin_lotus_t self (rawip_socket (create)))"),
    ("no-low-port, no-raw-socket", "(allow ravelin_lotus_t self (packet_socket (create)))"),
    ("no-low-port, no-raw-socket", "(allow ravelin_lotus_t self (capability (net_bind_service)))"),
    ("no-odd-socket", "(allow ravelin_lotus_t self (alg_socket (create)))"),
    ("no-odd-socket", "(allow ravelin_lotus_t self (netlink_route_socket (nlmsg_write)))"),
    ("no-module", "(allow ravelin_lotus_t modules_object_t (system (module_load)))"),
    ("no-module", "(allow ravelin_lotus_t self (system (module_load)))"),
    ("no-bpf", "(allow ravelin_lotus_t self (bpf (prog_load)))"),
    ("no-ptrace", "(allow ravelin_lotus_t ravelin_lotus_miner_t (process (ptrace)))"),
    ("no-ptrace", "(allow ravelin_lotus_t self (process (ptrace)))"),
    ("no-signal", "(allow ravelin_lotus_t syslogd_t (process (sigkill)))"),
    ("no-raw-disk", "(allow ravelin_lotus_t fixed_disk_device_t (blk_file (read)))"),
    ("no-raw-disk", "(allow ravelin_lotus_t memory_device_t (chr_file (read)))"),
    ("no-gpu, no-vfio, no-execmem, no-proc, no-core-pinning", "(allow ravelin_lotus_t xserver_misc_device_t (chr_file (open)))"),
    ("no-gpu, no-vfio, no-execmem, no-proc, no-core-pinning", "(allow ravelin_boostd_data_t self (process (execmem)))"),
    ("no-gpu, no-vfio, no-execmem, no-proc, no-core-pinning", "(allow ravelin_lotus_t vfio_device_t (chr_file (open)))"),
    ("no-policy", "(allow ravelin_lotus_t security_t (security (setenforce)))"),
    ("keys-closed", "(allow sshd_t ravelin_lotus_keystore_t (file (read)))"),
    ("keys-closed", "(allow sysadm_t ravelin_lotus_keystore_t (file (read)))"),
    ("tool-closed", "(allow ravelin_lotus_worker_tool_t ravelin_lotus_worker_token_t (file (read)))"),
    ("tool-closed", "(allow ravelin_lotus_worker_tool_t self (tcp_socket (create)))"),
    ("binds-lotus", "(allow ravelin_lotus_t ravelin_lotus_miner_api_port_t (tcp_socket (name_bind)))"),
    ("connects-lotus", "(allow ravelin_lotus_t ravelin_lotus_miner_api_port_t (tcp_socket (name_connect)))"),
    ("connects-lotus_worker", "(allow ravelin_lotus_worker_t monopd_port_t (tcp_socket (name_connect)))"),
    ("connects-lotus_worker", "(allow ravelin_lotus_worker_t ssh_port_t (tcp_socket (name_connect)))"),
    ("no-hugepages", "(allow ravelin_lotus_t hugetlbfs_t (file (write)))"),
];

/// The rules in rounds with one rule per assertion: secilc names no more than four rules against one.
pub fn rounds() -> Vec<Vec<(&'static str, &'static str)>> {
    let mut out: Vec<Vec<(&str, &str)>> = Vec::new();
    for mutant in MUTANTS {
        match out.iter_mut().find(|round| round.iter().all(|(assertion, _)| *assertion != mutant.0)) {
            Some(round) => round.push(*mutant),
            None => out.push(vec![*mutant]),
        }
    }
    out
}
