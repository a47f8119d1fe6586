# shellcheck shell=sh disable=SC2034,SC2154
# What check, apply and revert share (dir is theirs): where things are, how a profile is read, and when a value is enough.
#
# NOCTULE_TUNE_ROOT stands before every path that is read or written, so that tests work in a directory of their own.

root=${NOCTULE_TUNE_ROOT:-}
sysctl_conf=$root/etc/sysctl.d/90-noctule.conf
limits_conf=$root/etc/security/limits.d/90-noctule.conf
dropin_conf=$root/etc/systemd/system/noctule.service.d/limits.conf
state=$root/var/lib/noctule-tune
before=$state/before # one "key = value" line for each value as it was before the first apply

fail() {
	echo "Error: $*" >&2
	exit 1
}

misuse() {
	echo "Error: $*" >&2
	exit 2
}

# profile_names prints the names of the profiles, smallest first.
profile_names() { echo "pi, gateway, server-100k, server-1m"; }

# profile_file prints the path of the profile named $1, or ends the script with the names there are.
profile_file() {
	case $1 in
	pi | gateway | server-100k | server-1m) echo "$dir/profiles/$1" ;;
	*) misuse "there is no profile \"$1\"; the profiles are $(profile_names)." ;;
	esac
}

# settings prints the profile in file $1 as key|value|reason lines. A key with a dot is a sysctl; the others are
# connections, memory (MiB) and nofile.
settings() { sed -n 's/^\([a-z0-9_.-]*\) = \(.*[^ ]\)  *# \(.*\)$/\1|\2|\3/p' "$1"; }

# setting prints the value of key $2 in the profile in file $1.
setting() { settings "$1" | sed -n "s/^$2|\([^|]*\)|.*/\1/p"; }

# is_sysctl holds for a key of /proc/sys.
is_sysctl() { case $1 in *.*) ;; *) return 1 ;; esac }

# proc_sys prints the file of sysctl $1.
proc_sys() { echo "$root/proc/sys/$(echo "$1" | tr . /)"; }

# limit prints the descriptor limit of this process, $1 being soft or hard.
limit() {
	while read -r a b c soft hard _; do
		[ "$a $b $c" = "Max open files" ] || continue
		if [ "$1" = soft ]; then echo "$soft"; else echo "$hard"; fi
	done <"$root/proc/self/limits"
}

# now prints the present value of key $1, or nothing where the kernel does not have it. nofile is the hard limit: the
# broker raises its soft limit to that at start.
now() {
	if [ "$1" = nofile ]; then
		limit hard
	else
		cat "$(proc_sys "$1")" 2>/dev/null || true
	fi
}

# recorded prints the value of key $1 from before the first apply, or nothing if it is not recorded.
recorded() { [ ! -f "$before" ] || sed -n "s/^$1 = //p" "$before"; }

# original prints the value of key $1 as it is without us: the recorded one, or the present one.
original() {
	if [ -f "$before" ] && grep -q "^$1 = " "$before"; then
		recorded "$1"
	else
		now "$1"
	fi
}

# is_cap holds for a key whose value must not be larger than the profile's; all others must not be smaller.
is_cap() { [ "$1" = net.ipv4.tcp_rmem ] || [ "$1" = net.ipv4.tcp_wmem ]; }

# enough holds if value $2 of key $1 serves a profile that wants $3. Of a triple the last number, the maximum, counts.
enough() {
	if is_cap "$1"; then
		[ "${2##*[!0-9]}" -le "${3##*[!0-9]}" ]
	else
		[ "$2" -ge "$3" ]
	fi
}

# put gives sysctl $1 the value $2: through sysctl on the machine, by writing the file under NOCTULE_TUNE_ROOT.
put() {
	if [ -n "$root" ]; then
		printf '%s\n' "$2" >"$(proc_sys "$1")"
	else
		sysctl -q -w "$1=$2"
	fi
}

# need_root ends the script if it may not change the machine; $1 is what was asked for.
need_root() {
	[ "$(id -u)" = 0 ] || fail "$1 changes kernel settings and files in /etc: run it as root. Without --yes it only prints what it would do."
}

# reload_systemd lets systemd see a changed drop-in, where systemd runs.
reload_systemd() {
	if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}
