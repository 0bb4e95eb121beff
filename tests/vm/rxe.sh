# shellcheck shell=bash
# Sourced in the test VM.
#
# rxe_pairs N: N software RDMA devices (RoCE v2), rxe0 and rxe1 at the ends of one virtual cable, rxe2 and rxe3 at the next.
# Their interfaces are v0a, v0b, v1a, …, with 10.PAIR.0.1 and 10.PAIR.0.2.
#
# rxe receives in the initial network namespace only (up to 6.12 at least), so both ends of a cable stay in it. For packets
# to cross the cable instead of taking the short way inside, traffic that begins here between the two addresses is
# routed out of the right end by a rule that comes before the local table.
rxe_pairs() {
    local count=$1 pair net
    [ "$count" -gt 0 ] || return 0
    for net in all default; do
        echo 0 >/proc/sys/net/ipv4/conf/$net/rp_filter
        echo 1 >/proc/sys/net/ipv4/conf/$net/accept_local
    done
    # Its neighbour discovery would count among the bytes at any time.
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip rule add pref 100 lookup local
    ip rule del pref 0
    for ((pair = 0; 2 * pair < count; pair++)); do
        ip link add v${pair}a address 02:00:00:00:0$pair:0a type veth peer name v${pair}b address 02:00:00:00:0$pair:0b
        ip -batch - <<END
link set v${pair}a up
link set v${pair}b up
addr add 10.$pair.0.1/24 dev v${pair}a
addr add 10.$pair.0.2/24 dev v${pair}b
rule add pref 10 from 10.$pair.0.1 to 10.$pair.0.2 iif lo lookup $((1000 + pair))
rule add pref 10 from 10.$pair.0.2 to 10.$pair.0.1 iif lo lookup $((2000 + pair))
END
        rxe_route "$pair"
        rdma link add rxe$((2 * pair)) type rxe netdev v${pair}a
        if [ $((2 * pair + 1)) -lt "$count" ]; then
            rdma link add rxe$((2 * pair + 1)) type rxe netdev v${pair}b
        fi
    done
}

# rxe_route PAIR: its routes and neighbours, which go when a link goes down.
rxe_route() {
    local pair=$1
    ip -batch - <<END
route replace 10.$pair.0.2 dev v${pair}a src 10.$pair.0.1 table $((1000 + pair))
route replace 10.$pair.0.1 dev v${pair}b src 10.$pair.0.2 table $((2000 + pair))
neigh replace 10.$pair.0.2 lladdr 02:00:00:00:0$pair:0b dev v${pair}a nud permanent
neigh replace 10.$pair.0.1 lladdr 02:00:00:00:0$pair:0a dev v${pair}b nud permanent
END
}
