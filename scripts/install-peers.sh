#!/usr/bin/env bash
# Installs the mail servers and clients of others that the tests talk to, on Debian, as root; run it
# again at will. Prints where things are.
#
# Exim and OpenSMTPD cannot be installed beside Postfix, and have paths and users built in. So their
# packages are unpacked, each with the libraries it needs, into a tree of its own that they run in by
# chroot (tests/end-to-end/peer-tree.ts makes a copy of it for each test file). The trees are in
# /opt/postern-peers, or where PEERS_FOLDER says.
set -euo pipefail

peers=${PEERS_FOLDER:-/opt/postern-peers}
# Debian would start what it installs; at this "run level" it does not.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt=(apt-get -qq -o DPkg::Lock::Timeout=300)

packages=(
  postfix libsasl2-modules swaks libnet-ssleay-perl libnet-dns-perl curl msmtp python3
  unbound nsd dovecot-core dovecot-lmtpd libevent-2.1-7
)
wanted=()
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || wanted+=("$package")
done

# tree NAME PACKAGE… : what the packages hold, in a tree fit for chroot.
tree() {
  local name=$1 tree="$peers/$1"
  shift
  [ -e "$tree/complete" ] && return
  local work
  work=$(mktemp -d "$peers/.$name.XXXXXX")
  chmod 755 "$work"
  mkdir -p "$work/download" "$work/tree"
  (cd "$work/download" && apt-get -qq -o APT::Sandbox::User=root download "$@")
  for package in "$work"/download/*.deb; do dpkg-deb -x "$package" "$work/tree"; done
  # On a merged system /lib and /bin are links, which cp of a library's path must not replace.
  for link in bin sbin lib lib64; do
    [ -L "/$link" ] || continue
    [ -d "$work/tree/$link" ] && [ ! -L "$work/tree/$link" ] && {
      mkdir -p "$work/tree/usr/$link"
      cp -a "$work/tree/$link/." "$work/tree/usr/$link/"
      rm -r "${work:?}/tree/$link"
    }
    mkdir -p "$work/tree/usr/$link"
    ln -sfn "usr/$link" "$work/tree/$link"
  done
  local inside program library
  inside=$(find "$work/tree/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
  # The libraries of the programs, of those libraries that came along, and a shell.
  cp /bin/sh "$work/tree/usr/bin/sh"
  for program in "$work"/tree/usr/sbin/* "$work"/tree/usr/bin/* "$work"/tree/usr/libexec/*/*; do
    # Scripts have no libraries; ldd says so by its exit code.
    LD_LIBRARY_PATH=$inside ldd "$program" 2>/dev/null || true
  done | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r library; do
    case $library in "$work"/*) continue ;; esac
    mkdir -p "$work/tree$(dirname "$library")"
    cp -L "$library" "$work/tree$library"
  done
  rm -rf "${work:?}"/tree/usr/share/{doc,man,locale,lintian,bug}
  mkdir -p "$work"/tree/{dev,etc,tmp,run,var/empty,var/spool,var/log,root}
  ln -s ../run "$work/tree/var/run"
  install -d -o 61001 -g 61001 "$work"/tree/var/{log,spool}/exim4
  chmod 1777 "$work/tree/tmp"
  chmod 711 "$work/tree/var/empty"
  mknod -m 666 "$work/tree/dev/null" c 1 3
  mknod -m 666 "$work/tree/dev/urandom" c 1 9
  cat >"$work/tree/etc/passwd" <<'USERS'
root:x:0:0:root:/root:/bin/sh
Debian-exim:x:61001:61001::/var/spool/exim4:/bin/sh
opensmtpd:x:61002:61002::/var/empty:/bin/sh
opensmtpq:x:61003:61003::/var/empty:/bin/sh
USERS
  cat >"$work/tree/etc/group" <<'GROUPS'
root:x:0:
mail:x:8:
Debian-exim:x:61001:
opensmtpd:x:61002:
opensmtpq:x:61003:
GROUPS
  echo "127.0.0.1 localhost" >"$work/tree/etc/hosts"
  echo "hosts: files" >"$work/tree/etc/nsswitch.conf"
  touch "$work/tree/complete"
  rm -rf "$tree"
  # Somebody else may have been faster: then theirs is as good.
  mv -T "$work/tree" "$tree" 2>/dev/null || [ -e "$tree/complete" ]
  rm -r "$work"
}

mkdir -p "$peers"
if [ ${#wanted[@]} -gt 0 ] || [ ! -e "$peers/exim/complete" ] || [ ! -e "$peers/opensmtpd/complete" ]
then
  "${apt[@]}" update
  [ ${#wanted[@]} -eq 0 ] ||
    "${apt[@]}" install -y --no-install-recommends "${wanted[@]}" >/dev/null
  tree exim exim4-base exim4-daemon-heavy libmariadb3 libspf2-2
  tree opensmtpd opensmtpd
fi

for program in postfix swaks curl msmtp python3 unbound nsd dovecot; do
  printf '%-10s %s\n' "$program" "$(PATH=$PATH:/usr/sbin command -v "$program")"
done
printf '%-10s %s\n' exim "chroot $peers/exim /usr/sbin/exim4"
printf '%-10s %s\n' opensmtpd "chroot $peers/opensmtpd /usr/sbin/smtpd"
