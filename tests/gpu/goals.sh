# shellcheck shell=bash
# Figures against goals, and one table of them in the end. For the scripts beside this one, which source it.

goals=$(mktemp)

# goal WHAT VALUE UNIT GOAL: GOAL begins with >= or <=. What could not be measured (an empty value) is missed.
goal() {
    awk -v what="$1" -v value="$2" -v unit="$3" -v goal="$4" 'BEGIN {
        split(goal, part, " ")
        measured = value ~ /^-?[0-9]/
        met = measured && (part[1] == ">=" ? value + 0 >= part[2] + 0 : value + 0 <= part[2] + 0)
        printf "%-56s %14s   %-16s %s\n", what, measured ? value " " unit : "not measured", goal " " unit, met ? "met" : "MISSED"
    }' >>"$goals"
}

# The number behind a row's name in a table of `cargo bench --bench transport`: FILE NAME.
figure() { sed -nE "s|^ *$2 +(-?[0-9.]+) .*|\1|p" "$1" | head -n 1; }

# Prints the table, and fails when a goal is missed.
verdicts() {
    local missed
    [[ -s $goals ]] || return 0
    echo "== goals"
    cat "$goals"
    missed=$(grep -c ' MISSED$' "$goals") || true
    echo "$missed missed"
    [[ $missed == 0 ]]
}
