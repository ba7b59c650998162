#!/bin/sh
# A real x86 machine to look at: QEMU in software emulation, without a disk,
# that starts from the network as a bare-metal node does. QEMU answers DHCP and
# TFTP by itself and serves Debian's network installer, so it needs no network:
# SeaBIOS, then iPXE, then the installer's boot menu and its dialogues. Where
# only memtest86+ is installed, that is started instead.
#
# Run with DISPLAY set; the window fills the screen.
set -eu

say() {
	echo "machine.sh: $*" >&2
	exit 1
}

qemu="qemu-system-x86_64"
command -v "$qemu" >/dev/null ||
	say "QEMU is not installed: apt-get install qemu-system-x86 qemu-system-gui ipxe-qemu seabios"

tree=
for dir in /usr/lib/debian-installer/images/*/amd64/text; do
	if [ -r "$dir/pxelinux.0" ]; then
		tree=$dir
	fi
done
memtest=
for file in /boot/memtest86+x64.bin /boot/memtest86+.bin; do
	if [ -r "$file" ]; then
		memtest=$file
		break
	fi
done

if [ -n "$tree" ]; then
	set -- -netdev "user,id=net,restrict=on,tftp=$tree,bootfile=pxelinux.0" \
		-device e1000,netdev=net,bootindex=1
elif [ -n "$memtest" ]; then
	set -- -nic none -kernel "$memtest"
else
	say "nothing to boot is installed: apt-get install debian-installer-12-netboot-amd64, or memtest86+"
fi

# The tablet gives absolute pointer positions. The window follows the guest's
# screen and is scaled to fill the X screen. KVM would be faster and is left
# alone, so that the machine runs alike everywhere.
exec "$qemu" -name machine -machine pc,accel=tcg -m 1024 -smp 1 \
	-vga std -usb -device usb-tablet -audiodev none,id=silent \
	-no-user-config -monitor none -serial none -parallel none \
	-display gtk,gl=off,show-menubar=off,show-tabs=off,zoom-to-fit=on,full-screen=on \
	"$@"
