#!/usr/bin/env python3
"""The article's figures and ours side by side, as Markdown: reproduce-table.py DIR

DIR holds what scripts/reproduce.sh measured. What was not measured has no line; a figure that is missing is "-".
The article's figures: "NVSHMEM Multi-NIC Support with AWS EFA", its screens as printed and its two plots read off.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

# What stands for which version.
VERSIONS = [
    ("single", "3.5.21"),
    ("round-robin", "3.6.5"),
    ("round-robin-offset", "the fix"),
    ("pair-seq", "-"),
]

# Gb/s of one put stream, all NICs together.
PUT = {"single": 97.80, "round-robin": 391.27}

# All-to-all on 16 nodes: Gb/s of a node, and of each of its NICs, sent and received.
SCREENS = {
    "single": "611.8; Tx and Rx 76 on 8 NICs, 0 on 24",
    "round-robin": "560.0; Tx 17.5 on all 32, Rx 69.9 on 8, 0 on 24",
    "round-robin-offset": "2075.5; Tx and Rx 65 on all 32",
}

# Bus bandwidth at 1 GiB in Gb/s, by nodes: 3.5.21, 3.6.5, the fix.
BUSBW = {2: (146, 146, 148), 4: (111, 86, 302), 8: (101, 118, 363), 16: (68, 134, 276)}

# MoE with 256 experts and 128 tokens in Gb/s, by nodes: 3.6.5, the fix.
MOE = {
    "dispatch": {2: (9.9, 9.9), 4: (9.6, 9.0), 8: (9.1, 8.9)},
    "combine": {2: (20.6, 20.6), 4: (19.5, 23.8), 8: (17.7, 18.7)},
    "alltoall": {2: (241, 284), 4: (168, 356), 8: (150, 180)},
}


def load(path):
    """The lines of a file, those that are results."""
    lines = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def medians(lines, key, value):
    """By key the median of a value, which may be missing."""
    found = defaultdict(list)
    for line in lines:
        if line.get("type") == "row" and value(line) is not None:
            found[key(line)].append(value(line))
    return {key: statistics.median(values) for key, values in found.items()}


def number(value, digits=2, unit=""):
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def ratio(a, b):
    return a / b if a is not None and b else None


def table(title, head, rows):
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("| " + " | ".join(["---"] * len(head)) + " |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def put(path):
    lines = load(path)
    largest = max(line["size"] for line in lines if line.get("type") == "row")
    rates = medians(
        [line for line in lines if line.get("size") == largest],
        lambda line: line["policy"],
        lambda line: line.get("bw_gb_per_s"),
    )
    rows = []
    for policy, version in VERSIONS:
        theirs = PUT.get(policy)
        ours = rates.get(policy)
        rows.append(
            [
                policy,
                version,
                number(theirs),
                number(ratio(theirs, PUT["single"]), unit="x"),
                number(ours and ours * 8000, 1),
                number(ratio(ours, rates.get("single")), unit="x"),
            ]
        )
    head = ["policy", "NVSHMEM", "article, Gb/s", "against one NIC", "ours, Mb/s", "against one NIC"]
    table("Put: one sender, four NICs", head, rows)


def share(lines, policy, direction):
    """Lowest and highest share of a PE's bytes that one of its NICs moved, over all PEs, and NICs with traffic."""
    pes = defaultdict(lambda: defaultdict(int))
    for line in lines:
        if line.get("type") == "nic" and line.get("policy") == policy:
            pes[line["pe"]][line["nic"]] += line[f"{direction}_bytes"]
    shares = []
    active = set()
    for nics in pes.values():
        total = sum(nics.values())
        shares += [nic / total for nic in nics.values() if total]
        active.add(sum(nic > 0 for nic in nics.values()))
    if not shares:
        return "-"
    busy, all_nics = ("/".join(str(count) for count in sorted(counts)) for counts in (active, {len(nics) for nics in pes.values()}))
    return f"{min(shares) * 100:.0f} to {max(shares) * 100:.0f} % each, {busy} of {all_nics} busy"


def screens(path, nodes):
    lines = load(path)
    rows = [
        [policy, version, SCREENS.get(policy, "-"), share(lines, policy, "tx"), share(lines, policy, "rx")]
        for policy, version in VERSIONS
    ]
    head = ["policy", "NVSHMEM", "article: a node of 16, Gb/s", f"ours, {nodes} nodes: Tx of a PE's NICs", "Rx"]
    table("All-to-all: what each NIC sends and receives", head, rows)


def busbw(paths):
    rows = []
    for nodes, theirs in BUSBW.items():
        row = [str(nodes)]
        row += [number(ratio(theirs[0], theirs[1])), number(ratio(theirs[2], theirs[1])), number(ratio(theirs[2], theirs[0]))]
        rates = {}
        if nodes in paths:
            rates = medians(load(paths[nodes]), lambda line: line["policy"], lambda line: line.get("busbw_gb_per_s"))
        one, collapsed, fixed = (rates.get(policy) for policy, _ in VERSIONS[:3])
        row += [
            number(ratio(one, collapsed)),
            number(ratio(fixed, collapsed)),
            number(ratio(fixed, one)),
            number(ratio(rates.get("pair-seq"), collapsed)),
        ]
        rows.append(row)
    head = [
        "nodes",
        "article, 1 GiB: 3.5.21 / 3.6.5",
        "fix / 3.6.5",
        "fix / 3.5.21",
        "ours: single / round-robin",
        "offset / round-robin",
        "offset / single",
        "pair-seq / round-robin",
    ]
    table("All-to-all: bandwidth, as ratios of one run", head, rows)


def simulated(path):
    rates = medians(
        load(path), lambda line: (line["nodes"], line["policy"]), lambda line: line.get("busbw_gb_per_s")
    )
    rows = []
    for nodes, theirs in BUSBW.items():
        one, collapsed, fixed, pairs = (rates.get((nodes, policy)) for policy, _ in VERSIONS)
        row = [str(nodes), ", ".join(str(rate) for rate in theirs)]
        row.append(", ".join(number(rate and rate * 8, 0) for rate in (one, collapsed, fixed)))
        row += [number(ratio(theirs[0], theirs[1])), number(ratio(one, collapsed))]
        row += [number(ratio(theirs[2], theirs[1])), number(ratio(fixed, collapsed))]
        row.append(number(ratio(pairs, collapsed)))
        rows.append(row)
    head = [
        "nodes",
        "article, Gb/s: 3.5.21, 3.6.5, fix",
        "model, Gb/s",
        "article: 3.5.21 / 3.6.5",
        "model",
        "article: fix / 3.6.5",
        "model",
        "model: pair-seq / round-robin",
    ]
    table("All-to-all of 1 GiB in the model of the article's nodes (railtop sim)", head, rows)


def of_moe(lines):
    return medians(
        lines,
        lambda line: (line["policy"], line.get("phase"), line.get("experts"), line.get("tokens")),
        lambda line: line.get("bw_gb_per_s"),
    )


def moe(paths):
    rows = []
    for nodes, path in sorted(paths.items()):
        rates = of_moe(load(path))
        for experts in sorted({key[2] for key in rates}):
            tokens = max(key[3] for key in rates if key[2] == experts)
            for phase, figures in MOE.items():
                theirs = figures.get(nodes) if (experts, tokens) == (256, 128) else None
                ours = [rates.get((policy, phase, experts, tokens)) for policy, _ in VERSIONS[1:]]
                rows.append(
                    [
                        str(nodes),
                        str(experts),
                        phase,
                        f"{theirs[0]:g} → {theirs[1]:g}" if theirs else "-",
                        number(ratio(theirs[1], theirs[0])) if theirs else "-",
                        " → ".join(number(rate and rate * 8000, 0) for rate in ours[:2]),
                        number(ratio(ours[1], ours[0])),
                        number(ratio(ours[2], ours[0])),
                    ]
                )
    head = [
        "nodes",
        "experts",
        "phase",
        "article, Gb/s: 3.6.5 → fix",
        "fix / 3.6.5",
        "ours, Mb/s: round-robin → offset",
        "offset / round-robin",
        "pair-seq / round-robin",
    ]
    table("MoE, the most tokens measured", head, rows)


def batch(off, auto):
    off, auto = of_moe(load(off)), of_moe(load(auto))
    rows = []
    for policy, phase, experts, tokens in sorted(off, key=lambda key: (key[2], key[1] or "", key[3])):
        if phase == "alltoall":
            continue
        key = (policy, phase, experts, tokens)
        rows.append(
            [str(experts), str(phase), str(tokens), number(off[key], 3), number(auto.get(key), 3), number(ratio(auto.get(key), off[key]))]
        )
    head = ["experts", "phase", "tokens", "off, GB/s", "auto, GB/s", "auto / off"]
    table("MoE: puts gathered for each destination, unlimited NICs", head, rows)


def by_nodes(directory, pattern):
    found = {}
    for path in directory.glob(f"{pattern}-*-nodes.jsonl"):
        nodes = path.name.removeprefix(f"{pattern}-").removesuffix("-nodes.jsonl")
        if nodes.isdigit():
            found[int(nodes)] = path
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = Path(sys.argv[1])
    if not directory.is_dir():
        sys.exit(f"{directory} is no directory: it is made by scripts/reproduce.sh")
    if (directory / "put.jsonl").exists():
        put(directory / "put.jsonl")
    alltoall = by_nodes(directory, "alltoall")
    if alltoall:
        nodes = max(alltoall)
        screens(alltoall[nodes], nodes)
        busbw(alltoall)
    if (directory / "sim.jsonl").exists():
        simulated(directory / "sim.jsonl")
    nodes = by_nodes(directory, "moe")
    if nodes:
        moe(nodes)
    off, auto = directory / "batch-off.jsonl", directory / "batch-auto.jsonl"
    if off.exists() and auto.exists():
        batch(off, auto)


if __name__ == "__main__":
    main()
