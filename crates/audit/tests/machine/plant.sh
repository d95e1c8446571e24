# Faults of providers' machines, planted into the hardened one. Runs as root in a machine of the VM lab. `#@ CODE WORDS` says which
# rule has to find the fault and what its finding has to name.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
put() { mkdir -p "$(dirname "$1")"; cat >"$1"; }
# as NAME ARGUMENT...: a daemon by that name that listens, a copy of nc. idle NAME ARGUMENT...: one that only has arguments.
bin=/opt/faults
mkdir -p $bin
as() { cp /bin/nc.openbsd "$bin/$1"; name=$1; shift; (setsid "$bin/$name" "$@" >/dev/null 2>&1 </dev/null &); }
idle() { cp /bin/bash "$bin/$1"; name=$1; shift; (setsid "$bin/$name" -c 'while :; do sleep 1000; done' "$@" >/dev/null 2>&1 </dev/null &); }

# --- ssh, sudo, su, accounts
put /etc/ssh/sshd_config.d/10-own.conf <<END
PermitRootLogin yes
X11Forwarding yes
PermitEmptyPasswords yes
HostbasedAuthentication yes
Ciphers aes128-cbc,aes256-ctr
MaxAuthTries 10
END
#@ AUD025 permitrootlogin yes
#@ AUD031 x11forwarding yes
#@ AUD032 allowagentforwarding
#@ AUD033 allowtcpforwarding
#@ AUD034 maxauthtries 10
#@ AUD035 permitemptypasswords yes
#@ AUD036 AllowGroups
#@ AUD037 aes128-cbc
#@ AUD039 hostbasedauthentication yes
rm -f /etc/cron.allow
#@ AUD053 cron.allow
sed -i '/pam_wheel/d' /etc/pam.d/su
#@ AUD049 su
sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/common-auth
#@ AUD050 pam_permit
#@ AUD051 faillock
put /etc/polkit-1/rules.d/10-all.rules <<END
polkit.addRule(function(action, subject) { return polkit.Result.YES; });
END
#@ AUD052 10-all.rules
echo 'Defaults !authenticate, timestamp_timeout=-1' | install -m 0440 /dev/stdin /etc/sudoers.d/faults
#@ AUD047 sudoers.d/faults
#@ AUD048 timestamp_timeout
echo 'ops ALL=(ALL) NOPASSWD: ALL' | install -m 0440 /dev/stdin /etc/sudoers.d/ops
#@ AUD007 ops
echo 'this is no rule (' | install -m 0440 /dev/stdin /etc/sudoers.d/odd
#@ AUD071 sudoers.d/odd
useradd --create-home --shell /bin/bash ops
printf 'toor:x:0:0::/root:/bin/bash\nguest::1500:1500::/home/guest:/bin/bash\ntwin:x:1500:1500::/home/guest:/bin/bash\nservd:x:700:700::/home/servd:/bin/sh\n' >>/etc/passwd
printf 'toor:$1$abc$0123456789012345678901:19000:0:99999:7:::\nservd:$y$j9T$abc$def:19000:0:99999:7:::\n' >>/etc/shadow
#@ AUD040 guest
#@ AUD041 toor
#@ AUD042 servd
#@ AUD043 toor
#@ AUD044 toor
#@ AUD046 twin
chmod 0777 /home/ops
#@ AUD045 /home/ops
install -d -m 0700 -o lotus -g lotus /var/lib/lotus/.ssh
echo 'ssh-ed25519 AAAA x' >/var/lib/lotus/.ssh/authorized_keys
#@ AUD038 /var/lib/lotus/.ssh/authorized_keys
usermod --shell /bin/bash lotus
#@ AUD012 login shell /bin/bash
echo 'lotus ALL=(root) NOPASSWD: /usr/bin/vi' | install -m 0440 /dev/stdin /etc/sudoers.d/lotus
#@ AUD006 sudoers.d/lotus
usermod --append --groups shadow lotus
#@ AUD070 shadow

# --- kernel
sysctl -q kernel.kptr_restrict=0 kernel.dmesg_restrict=0 kernel.yama.ptrace_scope=0 kernel.perf_event_paranoid=1 \
    kernel.randomize_va_space=0 kernel.unprivileged_userns_clone=1 fs.suid_dumpable=2 kernel.core_pattern=core \
    fs.protected_symlinks=0 net.ipv4.tcp_syncookies=0 net.ipv4.ip_forward=1 kernel.unprivileged_bpf_disabled=0 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.accept_redirects=1
for d in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$d; done
sysctl -q vm.unprivileged_userfaultfd=1 vm.hugetlb_shm_group="$(id -g ops)"
#@ AUD020 ip_forward
#@ AUD021 rp_filter
#@ AUD022 accept_redirects
#@ AUD054 kernel.kptr_restrict = 0
#@ AUD055 kernel.dmesg_restrict = 0
#@ AUD056 kernel.yama.ptrace_scope = 0
#@ AUD057 kernel.unprivileged_bpf_disabled = 0
#@ AUD058 vm.unprivileged_userfaultfd = 1
#@ AUD059 kernel.kexec_load_disabled = 0
#@ AUD060 kernel.modules_disabled = 0
#@ AUD061 fs.suid_dumpable = 2
#@ AUD062 kernel.core_pattern = core
#@ AUD063 fs.protected_symlinks = 0
#@ AUD064 kernel.randomize_va_space = 0
#@ AUD065 kernel.perf_event_paranoid = 1
#@ AUD066 net.ipv4.tcp_syncookies = 0
#@ AUD067 user.max_user_namespaces
#@ AUD118 (ops)
# The second boot's command line brings these.
#@ AUD068 mitigations=off
#@ AUD069 apparmor=0
#@ AUD072 systemd.debug-shell
#@ AUD073 neither SELinux nor AppArmor
# No time server is reachable from the machine.
#@ AUD027 unsynchronised

# --- mounts, swap, exports, devices
mount -o remount,dev,suid /tmp
#@ AUD074 /tmp
mkdir -p /mnt/sealed
mount -t tmpfs -o size=1M sealed /mnt/sealed
install -d -m 0700 -o lotus -g lotus /var/lib/lotus/.lotusminer
echo '{ "StoragePaths": [ { "Path": "/mnt/sealed/a" } ] }' >/var/lib/lotus/.lotusminer/storage.json
#@ AUD075 /mnt/sealed/a
put /etc/exports <<END
/srv *(rw,no_root_squash)
END
#@ AUD076 no_root_squash
#@ AUD077 every client
dd if=/dev/zero of=/swap bs=1M count=8 status=none
chmod 0600 /swap
mkswap /swap >/dev/null
swapon /swap
#@ AUD078 /swap
#@ AUD079 /var/lib/lotus/.lotus/keystore
mknod -m 0600 /dev/ipmi0 c 10 200
#@ AUD116 /dev/ipmi0
install -m 4755 /bin/true /usr/bin/nvidia-modprobe
#@ AUD117 /usr/bin/nvidia-modprobe

# --- monitoring, databases, logs, packages
put /etc/grafana/grafana.ini <<END
[auth.anonymous]
enabled = true
END
#@ AUD094 [auth.anonymous] enabled
idle prometheus --web.enable-admin-api
#@ AUD095 --web.enable-admin-api
put /etc/postgresql/15/main/pg_hba.conf <<END
host all all 0.0.0.0/0 trust
END
#@ AUD096 host from 0.0.0.0/0: trust
echo 'ssl = off' | put /etc/postgresql/15/main/postgresql.conf
as postgres -lk 0.0.0.0 5432
#@ AUD098 ssl = off
idle yb-tserver --ysql_enable_auth=false
#@ AUD097 ysql_enable_auth
put /etc/systemd/journald.conf.d/x.conf <<END
[Journal]
Storage=volatile
END
#@ AUD105 Storage=volatile
rm -f /etc/rsyslog.d/away.conf /etc/audit/rules.d/keys.rules
#@ AUD106 log
put /etc/apt/sources.list <<END
deb http://deb.debian.org/debian bookworm main
deb [trusted=yes] https://repo.example.org/deb ./
dep mistyped
END
#@ AUD113 https://repo.example.org/deb
#@ AUD114 http://deb.debian.org/debian
#@ AUD124 /etc/apt/sources.list:3
rm -f /etc/apt/apt.conf.d/20auto-upgrades
#@ AUD111 Unattended-Upgrade
touch -d '90 days ago' /var/lib/apt/lists/*InRelease
#@ AUD110 90 days old
printf 'Package: bash\nVersion: 99:1\n\n' >/var/lib/apt/lists/deb.debian.org_debian-security_dists_bookworm-security_main_binary-amd64_Packages
#@ AUD109 bash
touch /run/reboot-required
#@ AUD115 restart
cp --remove-destination /etc/os-release /tmp/os-release
sed 's/^VERSION_ID=.*/VERSION_ID="10"/' /tmp/os-release >/usr/lib/os-release
#@ AUD112 2024-06-30

# --- the services' units and files
# A shell by that name takes any argument.
cp --remove-destination /bin/bash /usr/local/bin/lotus
put /etc/systemd/system/lotus-daemon.service <<END
[Service]
ExecStart=/usr/local/bin/lotus -c 'while :; do sleep 1000; done' daemon --token=hunter2hunter2
Environment=FULLNODE_API_TOKEN=hunter2hunter2
EnvironmentFile=/etc/shared.env
StartLimitIntervalSec=5
MemoryDenyWriteExecute=yes
LimitCORE=infinity
END
#@ AUD001 lotus
#@ AUD016 lotus-daemon.service
#@ AUD017 lotus-daemon.service
#@ AUD026 lotus
#@ AUD029 MemoryDenyWriteExecute
#@ AUD080 lotus-daemon.service
#@ AUD082 lotus-daemon.service
put /etc/systemd/system/lotus-miner.service <<END
[Service]
ExecStart=$bin/lotus-miner
EnvironmentFile=/etc/shared.env
PrivateTmp=yes
END
echo 'LOTUS_X=1' >/etc/shared.env
#@ AUD010 /etc/shared.env
#@ AUD013 lotus-miner.service
put /etc/curio.env <<END
CURIO_DB_PASSWORD=yugabyte
END
#@ AUD019 /etc/curio.env
systemctl daemon-reload
systemctl restart lotus-daemon.service
chmod 0644 /var/lib/lotus/.lotus/keystore/* /var/lib/lotus/.lotus/token
#@ AUD003 /var/lib/lotus/.lotus/keystore/
#@ AUD004 /var/lib/lotus/.lotus/token
echo x >/var/lib/lotus/.lotus/keystore/ORZGC43IFVTDC
#@ AUD028 ORZGC43IFVTDC
printf '[Libp2p]\nAnnounceAddresses = ["/ip4/10.20.20.11/tcp/24001"]\n[Wallet]\nRemoteBackend = "eyJhbGciOiJIUzI1NiJ9.eyJBIjoxfQ.abcDEF123:http://45.33.10.9:1777/rpc/v0"\n' >/var/lib/lotus/.lotus/config.toml
chmod 0644 /var/lib/lotus/.lotus/config.toml
#@ AUD005 /var/lib/lotus/.lotus/config.toml
#@ AUD008 lotus
#@ AUD100 45.33.10.9
#@ AUD101 10.20.20.11
printf 'ls\nexport FULLNODE_API_TOKEN=hunter2hunter2\nlotus wallet export f1abc > wallet.key\n' >/home/ops/.bash_history
#@ AUD102 .bash_history
#@ AUD103 .bash_history
printf 7b2254797065223a22736563703235366b31222c22507269766174654b6579223a2261626364656667686969666a6b6c6d6e6f70717273747576777879 >/home/ops/wallet.key
#@ AUD104 /home/ops/wallet.key

# --- what listens: no filter, ports that must stay private on every address, programs of root that answer the network
nft flush ruleset
nft add table inet empty
#@ AUD023 filter
as curio -lk 0.0.0.0 4701
#@ AUD018 curio.gui
idle lotus-wallet run --disable-auth
#@ AUD099 --disable-auth
as boostd-data -lk 0.0.0.0 6071
#@ AUD015 boostd-data.pprof
as boostd -lk 0.0.0.0 45001
#@ AUD009 45001
as lotus-miner -lk 0.0.0.0 2345
#@ AUD002 lotus-miner.api
#@ AUD093 lotus-miner.api
idle cloudflared tunnel
#@ AUD014 cloudflared
as redis-server -lk 0.0.0.0 6379
#@ AUD089 redis-server
as vsftpd -lk 0.0.0.0 21
#@ AUD090 vsftpd
#@ AUD081 vsftpd
as registry -lk 0.0.0.0 5000
#@ AUD088 registry
as Xvnc -lk 0.0.0.0 5900
#@ AUD091 Xvnc
as target -lk 0.0.0.0 2049
#@ AUD092 port 2049

# --- a container engine
put /etc/docker/daemon.json <<END
{ "hosts": ["tcp://0.0.0.0:2375"] }
END
#@ AUD083 tcp://0.0.0.0:2375
as dockerd -lkU /run/docker.sock
sleep 1
chmod 0666 /run/docker.sock
#@ AUD084 /run/docker.sock

# --- the end of the record, and backups that are none
systemctl stop auditd 2>/dev/null || service auditd stop 2>/dev/null || systemctl kill -s KILL auditd || true
#@ AUD107 does not run
touch -d '9 days ago' /srv/backup/keys-1.age
#@ AUD120 keys-1.age
#@ AUD122 keys-1.age
#@ AUD123 keys-1.age
printf 'plain' >/srv/backup/plain.tar
chmod 0644 /srv/backup/plain.tar
#@ AUD121 plain.tar
#@ AUD119 /srv/backup/none
