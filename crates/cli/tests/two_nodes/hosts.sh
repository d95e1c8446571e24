# The machines behind the pair and the provider's router, a namespace each, on the same card with the same tags.
set -e
for n in $(seq 120); do trunk=$(ls /sys/class/net | grep -v lo) && break; sleep 0.5; done
ip link set $trunk up
modprobe 8021q
host() {
  ip netns add $1
  ip link add link $trunk name $1 type vlan id $2
  ip link set $1 netns $1
  ip -n $1 link set lo up
  ip -n $1 link set $1 up
  ip -n $1 address add $3 dev $1
  ip -n $1 address add $4 dev $1 nodad
  ip -n $1 route add default via $5
  ip -n $1 route add default via $6
}
host isp 100 203.0.113.14/28 2001:db8:20:ffff::e/64 203.0.113.1 2001:db8:20:ffff::1
for a in 45.83.64.66/32 2a0b:f4c2:6666::66/128; do ip -n isp address add $a dev lo; done
host daemon1 20 10.20.20.11/24 2001:db8:20:20::11/64 10.20.20.1 2001:db8:20:20::1
host market1 10 10.20.10.11/24 2001:db8:20:10::11/64 10.20.10.1 2001:db8:20:10::1
