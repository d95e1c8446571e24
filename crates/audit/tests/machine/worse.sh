# Faults that exclude some of the others, planted after these were looked for. Runs as root in the same machine.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# A container, which is a reason to forward and to let accounts have namespaces.
mkdir -p /root/rootfs/bin /root/rootfs/lib64 /root/rootfs/lib/x86_64-linux-gnu
cp /bin/sleep /root/rootfs/bin/
cp /lib64/ld-linux-x86-64.so.2 /root/rootfs/lib64/
cp /lib/x86_64-linux-gnu/libc.so.6 /root/rootfs/lib/x86_64-linux-gnu/
tar -C /root/rootfs -c . | podman import --quiet - lotus:latest >/dev/null
podman run --detach --quiet --name node --volume /etc:/host-etc --publish 0.0.0.0:12345:1234 lotus:latest /bin/sleep 100000
#@ AUD011 12345/tcp
#@ AUD024 runs as root inside
#@ AUD085 /etc:/host-etc
#@ AUD086 lotus:latest
#@ AUD087 no-new-privileges is not set
# A filter for IPv4 alone, on a machine with an address of each.
nft flush ruleset
iptables -P INPUT DROP
ip -6 address add 2a0f:77c0:30::1/64 dev lan0
#@ AUD030 2a0f:77c0:30::1
# The record is kept, and nobody watches the keys.
systemctl start auditd
#@ AUD108 /var/lib/lotus/.lotus/keystore
