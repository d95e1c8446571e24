# A Debian as its packages leave it, brought to what the audit asks for. Runs as root in a machine of the VM lab. With UNLOCKED set
# the two locks that only a reboot opens again (kexec, modules) are left open, for faults to be planted.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# A network to be reached by, while modules may still be loaded.
ip link add lan0 type dummy
ip address add 10.20.20.11/24 dev lan0
ip link set lan0 up
ip route add default via 10.20.20.1 dev lan0
put() { mkdir -p "$(dirname "$1")"; cat >"$1"; }
put /etc/ssh/sshd_config.d/10-own.conf <<END
PermitRootLogin no
PasswordAuthentication no
DisableForwarding yes
X11Forwarding no
MaxAuthTries 3
AllowGroups sudo
END
echo root >/etc/cron.allow
sed -i 's/^#.*auth.*required.*pam_wheel.so$/auth required pam_wheel.so/' /etc/pam.d/su
grep -q '^auth.*required.*pam_wheel' /etc/pam.d/su || sed -i '1i auth required pam_wheel.so' /etc/pam.d/su
passwd --lock root >/dev/null
put /etc/sysctl.d/90-own.conf <<END
kernel.kptr_restrict=1
kernel.dmesg_restrict=1
kernel.yama.ptrace_scope=1
${UNLOCKED:+#}kernel.kexec_load_disabled=1
kernel.perf_event_paranoid=3
kernel.randomize_va_space=2
kernel.unprivileged_userns_clone=0
fs.suid_dumpable=0
kernel.core_pattern=|/bin/false
net.ipv4.conf.all.rp_filter=1
net.ipv4.conf.default.rp_filter=1
net.ipv4.conf.all.accept_redirects=0
net.ipv6.conf.all.accept_redirects=0
net.ipv4.conf.default.accept_redirects=0
net.ipv6.conf.default.accept_redirects=0
net.ipv4.ip_forward=0
END
sysctl -q --system || true
# Over itself: what runs this has its files in /tmp.
for at in /tmp /dev/shm; do
  mountpoint -q $at || mount --bind $at $at
  mount -o remount,bind,nodev,nosuid $at
done
mkdir -p /var/log/journal
put /etc/audit/rules.d/keys.rules <<END
-w /var/lib/lotus/.lotus/keystore -p rwa -k keystore
END
systemctl is-active -q auditd || systemctl start auditd || true
put /etc/rsyslog.d/away.conf <<END
*.* @@10.20.90.5:514
END
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
put /etc/apt/sources.list <<END
deb https://deb.debian.org/debian bookworm main
END
put /etc/apt/apt.conf.d/20auto-upgrades <<END
APT::Periodic::Unattended-Upgrade "1";
END
mkdir -p /var/lib/apt/lists
: >/var/lib/apt/lists/deb.debian.org_debian-security_dists_bookworm-security_InRelease
: >/var/lib/apt/lists/deb.debian.org_debian-security_dists_bookworm-security_main_binary-amd64_Packages
# A service with its account, its keystore and its unit.
useradd --system --home-dir /var/lib/lotus --create-home --shell /usr/sbin/nologin lotus 2>/dev/null || true
install -d -m 0700 -o lotus -g lotus /var/lib/lotus /var/lib/lotus/.lotus /var/lib/lotus/.lotus/keystore
echo key | install -m 0600 -o lotus -g lotus /dev/stdin /var/lib/lotus/.lotus/keystore/O5QWY3DFOQWXI
echo token | install -m 0600 -o lotus -g lotus /dev/stdin /var/lib/lotus/.lotus/token
printf '[Libp2p]\nListenAddresses = ["/ip4/0.0.0.0/tcp/24001"]\nDisableNatPortMap = true\n' | install -m 0600 -o lotus -g lotus /dev/stdin /var/lib/lotus/.lotus/config.toml
cp /bin/sleep /usr/local/bin/lotus
put /etc/systemd/system/lotus-daemon.service <<END
[Service]
User=lotus
ExecStart=/usr/local/bin/lotus 100000
Restart=on-failure
LimitCORE=0
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
CapabilityBoundingSet=
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q --now lotus-daemon.service
nft -f - <<END
table inet f {
 chain input { type filter hook input priority 0; policy drop; iif lo accept; ct state established,related accept; }
}
END
mkdir -p /srv/backup
printf 'age-encryption.org/v1\n-> X25519 x\n---\n' | install -m 0600 /dev/stdin /srv/backup/keys-1.age
[ -n "${UNLOCKED:-}" ] || sysctl -q kernel.modules_disabled=1
