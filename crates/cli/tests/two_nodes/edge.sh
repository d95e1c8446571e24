# An edge node as its administrator made it: zones as tagged networks on one card, the link between the nodes tagged on the other.
# $1 is the last byte of its addresses, $2 its name.
set -e
card() { for d in /sys/class/net/*; do case $(cat $d/address) in 52:54:00:00:??:$1) basename $d;; esac; done; }
for n in $(seq 120); do [ -n "$(card 00)" ] && [ -n "$(card 01)" ] && break; sleep 0.5; done
trunk=$(card 00)
cable=$(card 01)
echo $2 >/etc/hostname
hostname $2
cd /etc/systemd/network
zone() {
  printf '[NetDev]\nName=%s\nKind=vlan\n[VLAN]\nId=%s\n' $1 $2 >20-$1.netdev
  printf '[Match]\nName=%s\n[Network]\nAddress=%s\nAddress=%s\nIPv6AcceptRA=no\n%s' $1 $3 $4 "$5" >20-$1.network
}
zone internet 100 203.0.113.$1/28 2001:db8:20:ffff::$1/64 'Gateway=203.0.113.14
Gateway=2001:db8:20:ffff::e
'
zone dmz 10 10.20.10.$1/24 2001:db8:20:10::$1/64
zone chain 20 10.20.20.$1/24 2001:db8:20:20::$1/64
zone ops 90 10.20.90.$1/24 2001:db8:20:90::$1/64
printf '[Match]\nName=%s\n[Network]\nLinkLocalAddressing=no\nVLAN=internet\nVLAN=dmz\nVLAN=chain\nVLAN=ops\n' $trunk >10-trunk.network
printf '[Match]\nName=%s\n[Network]\nLinkLocalAddressing=no\nVLAN=sync\n' $cable >10-cable.network
printf '[NetDev]\nName=sync\nKind=vlan\n[VLAN]\nId=99\n' >20-sync.netdev
printf '[Match]\nName=sync\n[Network]\nAddress=10.255.0.%s/30\nLinkLocalAddressing=no\n' $(($1 - 1)) >20-sync.network
systemctl daemon-reload
systemctl enable --now systemd-networkd ravelin-restore.service
/lib/systemd/systemd-networkd-wait-online --timeout=120
