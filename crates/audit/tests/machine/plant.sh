# Faults of providers' machines, planted into the hardened one. Runs as root in a machine of the VM lab.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
put() { mkdir -p "$(dirname "$1")"; cat >"$1"; }
put /etc/ssh/sshd_config.d/10-own.conf <<END
PermitRootLogin yes
X11Forwarding yes
PermitEmptyPasswords yes
HostbasedAuthentication yes
Ciphers aes128-cbc,aes256-ctr
MaxAuthTries 10
END
rm -f /etc/cron.allow
sed -i '/pam_wheel/d' /etc/pam.d/su
sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/common-auth
put /etc/polkit-1/rules.d/10-all.rules <<END
polkit.addRule(function(action, subject) { return polkit.Result.YES; });
END
echo 'Defaults !authenticate, timestamp_timeout=-1' | install -m 0440 /dev/stdin /etc/sudoers.d/faults
echo 'ops ALL=(ALL) NOPASSWD: ALL' | install -m 0440 /dev/stdin /etc/sudoers.d/ops
echo 'this is no rule (' | install -m 0440 /dev/stdin /etc/sudoers.d/odd
useradd --create-home --shell /bin/bash ops
printf 'toor:x:0:0::/root:/bin/bash\nguest::1500:1500::/home/guest:/bin/bash\ntwin:x:1500:1500::/home/guest:/bin/bash\nservd:x:700:700::/home/servd:/bin/sh\n' >>/etc/passwd
printf 'toor:$1$abc$0123456789012345678901:19000:0:99999:7:::\nservd:$y$j9T$abc$def:19000:0:99999:7:::\n' >>/etc/shadow
chmod 0777 /home/ops
sysctl -q kernel.kptr_restrict=0 kernel.dmesg_restrict=0 kernel.yama.ptrace_scope=0 kernel.perf_event_paranoid=1 \
    kernel.randomize_va_space=0 kernel.unprivileged_userns_clone=1 fs.suid_dumpable=2 kernel.core_pattern=core \
    fs.protected_symlinks=0 net.ipv4.tcp_syncookies=0 net.ipv4.ip_forward=1 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.accept_redirects=1
for d in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$d; done
sysctl -q vm.unprivileged_userfaultfd=1 2>/dev/null || true
mount -o remount,dev,suid /tmp
put /etc/exports <<END
/srv *(rw,no_root_squash)
END
put /etc/docker/daemon.json <<END
{ "hosts": ["tcp://0.0.0.0:2375"] }
END
put /etc/grafana/grafana.ini <<END
[auth.anonymous]
enabled = true
END
put /etc/postgresql/15/main/pg_hba.conf <<END
host all all 0.0.0.0/0 trust
END
put /etc/systemd/journald.conf.d/x.conf <<END
[Journal]
Storage=volatile
END
rm -f /etc/rsyslog.d/away.conf /etc/audit/rules.d/keys.rules
put /etc/apt/sources.list <<END
deb http://deb.debian.org/debian bookworm main
deb [trusted=yes] https://repo.example.org/deb ./
dep mistyped
END
rm -f /etc/apt/apt.conf.d/20auto-upgrades
touch -d '90 days ago' /var/lib/apt/lists/*InRelease
printf 'Package: bash\nVersion: 99:1\n\n' >/var/lib/apt/lists/deb.debian.org_debian-security_dists_bookworm-security_main_binary-amd64_Packages
touch /run/reboot-required
# A shell by that name takes any argument.
cp --remove-destination /bin/bash /usr/local/bin/lotus
put /etc/systemd/system/lotus-daemon.service <<END
[Service]
ExecStart=/usr/local/bin/lotus -c 'while :; do sleep 1000; done' daemon --token=hunter2hunter2
Environment=FULLNODE_API_TOKEN=hunter2hunter2
LimitCORE=infinity
END
systemctl daemon-reload
systemctl restart lotus-daemon.service
chmod 0644 /var/lib/lotus/.lotus/keystore/* /var/lib/lotus/.lotus/token
echo x >/var/lib/lotus/.lotus/keystore/ORZGC43IFVTDC
printf '[Libp2p]\nAnnounceAddresses = ["/ip4/10.20.20.11/tcp/24001"]\n[Wallet]\nRemoteBackend = "eyJhbGciOiJIUzI1NiJ9.eyJBIjoxfQ.abcDEF123:http://45.33.10.9:1777/rpc/v0"\n' >/var/lib/lotus/.lotus/config.toml
chmod 0644 /var/lib/lotus/.lotus/config.toml
install -d -m 0700 -o lotus -g lotus /var/lib/lotus/.ssh
echo 'ssh-ed25519 AAAA x' >/var/lib/lotus/.ssh/authorized_keys
usermod --shell /bin/bash lotus
printf 'ls\nexport FULLNODE_API_TOKEN=hunter2hunter2\nlotus wallet export f1abc > wallet.key\n' >/home/ops/.bash_history
printf 7b2254797065223a22736563703235366b31222c22507269766174654b6579223a2261626364656667686969666a6b6c6d6e6f70717273747576777879 >/home/ops/wallet.key
nft flush ruleset
nft add table inet empty
cp /bin/sleep /usr/local/bin/curio
# Ports that must stay private, on every address, and programs of root and of nobody that answer the network.
cp /bin/nc.openbsd /usr/local/bin/redis-server
cp /bin/nc.openbsd /usr/local/bin/vsftpd
(/usr/local/bin/redis-server -lk 0.0.0.0 6379 >/dev/null 2>&1 </dev/null &)
(/usr/local/bin/vsftpd -lk 0.0.0.0 21 >/dev/null 2>&1 </dev/null &)
systemctl stop auditd 2>/dev/null || service auditd stop 2>/dev/null || systemctl kill -s KILL auditd || true
touch -d '9 days ago' /srv/backup/keys-1.age
printf 'plain' >/srv/backup/plain.tar
chmod 0644 /srv/backup/plain.tar
