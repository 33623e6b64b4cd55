#!/usr/bin/env bash
# Makes the archives in this directory with the tar programs that people use. The archives at the
# top all hold the same tree, in the formats of the programs. The archives in sparse/ hold another
# tree, whose files have holes. Needs Debian's packages tar, libarchive-tools, cpio, pax, busybox,
# tarlz, p7zip-full, git, python3, perl, attr and acl. The archives in cases/ are unchanged copies
# from ../../../../shared/cases; this script doesn't touch them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8 TZ=UTC
umask 022
rm -rf ./*.tar sparse refused && mkdir sparse refused

cd "$work"
mkdir tree
printf 'one\n' >tree/a
printf '#!/bin/sh\n' >tree/run
chmod 755 tree/run
ln -s a tree/l
find tree -depth -exec touch -h -d @1 {} +
# One block per record makes the archives as short as possible.
gnu=(tar -b1 --owner=0 --group=0 --numeric-owner --sort=name)
bsd=(bsdtar -b 1 --uid 0 --gid 0 --numeric-owner)

for format in v7 oldgnu gnu ustar posix; do
  "${gnu[@]}" --format=$format -cf "$out/gnu-tar-$format.tar" tree
done
for format in v7 ustar pax gnutar; do
  "${bsd[@]}" --format=$format -cf "$out/bsdtar-$format.tar" tree
done
busybox tar -cf "$out/busybox.tar" tree
find tree | cpio --quiet -o -H tar >"$out/cpio-tar.tar"
find tree | cpio --quiet -o -H ustar >"$out/cpio-ustar.tar"
pax -w -b 512 -x ustar -f "$out/pax.tar" tree
tarlz --uncompressed --owner=0 --group=0 -cf "$out/tarlz.tar" tree
7z a -ttar -snl "$out/7z.tar" tree >/dev/null
for format in USTAR GNU PAX; do
  python3 - "$out/python-${format,,}.tar" $format <<'PYTHON'
import sys, tarfile
with tarfile.open(sys.argv[1], "w", format=getattr(tarfile, sys.argv[2] + "_FORMAT")) as tar:
    tar.add("tree")
PYTHON
done
perl -MArchive::Tar -e 'Archive::Tar->create_archive($ARGV[0], 0, "tree", "tree/a", "tree/run", "tree/l")' "$out/perl.tar"
git -c init.defaultBranch=main init -q repository
cp -a tree/. repository/
git -C repository add -A
GIT_AUTHOR_DATE="1000000000 +0000" GIT_COMMITTER_DATE="1000000000 +0000" git -C repository -c user.name=a -c user.email=a commit -qm one
git -C repository archive --format=tar --prefix=tree/ HEAD >"$out/git.tar"

# Facts that don't belong to the tree: labels, dumps, owners, times, comments.
"${gnu[@]}" -V 'a label' -cf "$out/label.tar" tree
"${gnu[@]}" --format=posix -V 'a label' -cf "$out/label-posix.tar" tree
"${gnu[@]}" --listed-incremental=snapshot -cf "$out/dump.tar" tree
"${gnu[@]}" -G -cf "$out/dump-old.tar" tree
"${gnu[@]}" --format=posix --listed-incremental=snapshot-posix -cf "$out/dump-posix.tar" tree
"${gnu[@]}" --owner=:3000000000 --group=:3000000000 --mtime=1960-01-01 -cf "$out/base-256.tar" tree
"${gnu[@]}" --format=posix --owner=:3000000000 --mtime='1960-01-01 00:00:00.25' -cf "$out/numbers-posix.tar" tree
"${gnu[@]}" --format=posix --pax-option='comment:=global,comment=of each,VENDOR.key=value' -cf "$out/comments.tar" tree
# tar sees that tree/a has two names, so it writes the second mention as a link to the first.
ln tree/a other-name
"${gnu[@]}" -cf "$out/self-hard-link.tar" tree tree/a
rm other-name

# Access rights and extended attributes, if the file system keeps them.
cp -a tree attributed
setfattr -n user.origin -v x attributed/a
setfacl -m user:1234:r attributed/a
"${gnu[@]}" --format=posix --xattrs --acls --transform='s,^attributed,tree,S' -cf "$out/attributes.tar" attributed
"${bsd[@]}" --format=pax --xattrs --acls -s ',^attributed,tree,S' -cf "$out/attributes-bsdtar.tar" attributed

# A key of more than 700 bytes.
cp -a tree long-attribute
setfattr -n "user.$(printf 'Ã%.0s' {1..120})" -v x long-attribute/a
"${bsd[@]}" --format=pax --xattrs -s ',^long-attribute,tree,S' -cf "$out/long-attribute-bsdtar.tar" long-attribute

# Names.
"${gnu[@]}" -cf "$out/dot-slash.tar" ./tree
"${gnu[@]}" -P --transform='s,^,/,S' -cf "$out/absolute.tar" tree
"${gnu[@]}" --no-recursion -cf "$out/directory-last.tar" tree/a tree/run tree/l tree
"${gnu[@]}" -cf "$out/no-directory.tar" tree/a tree/run tree/l

# Ends of archives. An archive of GNU tar normally ends with two blocks of zeros.
size=$(($(stat -c %s "$out/gnu-tar-gnu.tar") - 1024))
head -c $size "$out/gnu-tar-gnu.tar" >"$out/no-end.tar"
head -c $((size + 512)) "$out/gnu-tar-gnu.tar" >"$out/short-end.tar"
{ cat "$out/gnu-tar-gnu.tar"; echo garbage; } >"$out/garbage-after-end.tar"
{ cat "$out/gnu-tar-gnu.tar"; "${gnu[@]}" -cf - --transform='s,^tree,other,' tree; } >"$out/concatenated.tar"
tar -b 20 -cf "$out/long-end.tar" tree

# The data lie at the beginning, in the middle and at the end. The last block is incomplete.
mkdir holes
truncate -s 300000 holes/file
printf 'beginning' | dd of=holes/file conv=notrunc status=none
printf 'middle' | dd of=holes/file conv=notrunc status=none bs=1 seek=150000
printf 'end' | dd of=holes/file conv=notrunc status=none bs=1 seek=299997
truncate -s 70000 holes/empty
for i in $(seq 0 4 240); do printf x | dd of=holes/many conv=notrunc status=none bs=1 seek=$((i * 4096)); done
find holes -depth -exec touch -h -d @1 {} +
"${gnu[@]}" -S --format=gnu -cf "$out/sparse/gnu.tar" holes
"${gnu[@]}" -S --format=oldgnu -cf "$out/sparse/oldgnu.tar" holes
for version in 0.0 0.1 1.0; do
  "${gnu[@]}" -S --format=posix --sparse-version=$version -cf "$out/sparse/posix-$version.tar" holes
done
"${bsd[@]}" --read-sparse --format=pax -cf "$out/sparse/bsdtar.tar" holes

# The archives are named .tgz: for a .gz file, web servers send a Content-Encoding, and browsers
# decode it.
for archive in "$out"/sparse/*.tar; do gzip -9nc "$archive" >"${archive%.tar}.tgz"; rm "$archive"; done

# A file that continues in another volume, and special files.
head -c 20000 /dev/zero >long
tar -b1 -M -L 10 -cf "$out/refused/volume-1.tar" -f "$out/refused/volume-2.tar" -f "$work/volume-3.tar" long
mknod fifo p
tar -b1 -cf "$out/refused/fifo.tar" fifo
tar -b1 -cf "$out/refused/device.tar" -C /dev null
