#!/bin/sh
# shellcheck disable=SC2046,SC2086 # package lists are words on purpose
#
# Checks that this machine has the programs that a job needs, and installs the
# Debian or Ubuntu packages that are missing.
#
#   deploy/deps.sh run      what `make run` shows: X server, terminal, QEMU
#   deploy/deps.sh test     that, and what the tests drive
#   deploy/deps.sh lint     what the checks of the sources need
#
# As root it installs by itself, otherwise through sudo; without either it
# prints the command to run and ends with status 1.
set -eu

# Each word is a package. Words joined with | are alternatives: one installed
# is enough, else the first one that the package lists know is installed.
run='xvfb xauth xterm xfonts-base fonts-dejavu-core
	qemu-system-x86 qemu-system-gui ipxe-qemu seabios
	debian-installer-12-netboot-amd64|debian-installer-13-netboot-amd64|memtest86+'
test='gcc libc6-dev
	x11-utils x11-apps x11-xserver-utils xdotool
	chromium|chromium-browser
	tigervnc-viewer xclip xtightvncviewer ssvnc gvncviewer libvncserver-dev
	tigervnc-standalone-server tigervnc-scraping-server x11vnc websockify
	nova-consoleproxy rabbitmq-server ironic-common python3-keystone'
lint='shellcheck'

# What these packages would start with the machine. The tests run programs of
# their own, and one of these takes the port of `make run`.
services='nova-novncproxy nova-serialproxy nova-spicehtml5proxy rabbitmq-server epmd.socket'

case "${1-}" in
run) wanted=$run ;;
test) wanted="$run $test" ;;
lint) wanted=$lint ;;
*)
	echo "usage: $0 run|test|lint" >&2
	exit 2
	;;
esac

for program in go node npm; do
	if ! command -v "$program" >/dev/null; then
		echo "$0: $program is not installed: Go 1.26 or newer and Node 20 or newer with npm are needed" >&2
		exit 1
	fi
done

installed() {
	[ "$(dpkg-query --show --showformat '${db:Status-Abbrev}' "$1" 2>/dev/null | cut -c1-2)" = ii ]
}

# missing prints the words of which no alternative is installed.
missing() {
	for word in $wanted; do
		found=
		for package in $(echo "$word" | tr '|' ' '); do
			if installed "$package"; then
				found=yes
				break
			fi
		done
		[ -n "$found" ] || echo "$word"
	done
}

# choose turns each missing word into one package that can be installed. It
# is asked after the package lists were fetched.
choose() {
	for word in $1; do
		first=
		for package in $(echo "$word" | tr '|' ' '); do
			: "${first:=$package}"
			if apt-cache show "$package" >/dev/null 2>&1; then
				first=$package
				break
			fi
		done
		echo "$first"
	done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "$0: this machine has no apt-get; install the counterparts of these Debian packages by hand:" $wanted >&2
	exit 0
fi

words=$(missing)
[ -n "$words" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "$0: packages are missing and this is not root. Run as root:" >&2
		echo "    apt-get update && apt-get install -y --no-install-recommends" $(choose "$words") >&2
		exit 1
	fi
	# A sudo that would ask for a password where nobody can answer is no help.
	if ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
		echo "$0: packages are missing and sudo wants a password. Run:" >&2
		echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends" $(choose "$words") >&2
		exit 1
	fi
	as_root=sudo
fi

echo "$0: installing" $words >&2
$as_root apt-get update -qq
if [ -d /run/systemd/system ]; then
	for word in $words; do
		case $word in nova-consoleproxy | rabbitmq-server) $as_root systemctl --quiet mask $services ;; esac
	done
fi
# The lock is waited for: another apt-get may be at work on a fresh machine.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	-o DPkg::Lock::Timeout=300 $(choose "$words") >&2

left=$(missing)
if [ -n "$left" ]; then
	echo "$0: still missing after the installation:" $left >&2
	exit 1
fi
