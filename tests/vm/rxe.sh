# Sourced in the test VM. shellcheck shell=bash
#
# rxe_pairs N: N software RDMA devices (RoCE v2), rxe0 and rxe1 at the ends of one virtual cable, rxe2 and rxe3 at the next.
# Their interfaces are v0a, v0b, v1a, …, with 10.PAIR.0.1 and 10.PAIR.0.2.
#
# rxe receives in the initial network namespace only (up to 6.12 at least), so both ends of a cable stay in it. For packets
# to cross the cable instead of taking the short way inside, traffic that begins here between the two addresses is
# routed out of the right end by a rule that comes before the local table.
rxe_pairs() {
    local count=$1 pair a b from to net
    [ "$count" -gt 0 ] || return 0
    for net in all default; do
        echo 0 >/proc/sys/net/ipv4/conf/$net/rp_filter
        echo 1 >/proc/sys/net/ipv4/conf/$net/accept_local
    done
    ip rule add pref 100 lookup local
    ip rule del pref 0
    for ((pair = 0; 2 * pair < count; pair++)); do
        a=v${pair}a b=v${pair}b from=10.$pair.0.1 to=10.$pair.0.2
        ip link add $a address 02:00:00:00:0$pair:0a type veth peer name $b address 02:00:00:00:0$pair:0b
        ip -batch - <<END
link set $a up
link set $b up
addr add $from/24 dev $a
addr add $to/24 dev $b
route add $to dev $a src $from table $((1000 + pair))
route add $from dev $b src $to table $((2000 + pair))
rule add pref 10 from $from to $to iif lo lookup $((1000 + pair))
rule add pref 10 from $to to $from iif lo lookup $((2000 + pair))
neigh replace $to lladdr 02:00:00:00:0$pair:0b dev $a nud permanent
neigh replace $from lladdr 02:00:00:00:0$pair:0a dev $b nud permanent
END
        rdma link add rxe$((2 * pair)) type rxe netdev $a
        [ $((2 * pair + 1)) -lt "$count" ] && rdma link add rxe$((2 * pair + 1)) type rxe netdev $b
    done
}
