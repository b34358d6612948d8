# A closure of what breaks careless tools: names, links, sizes, directories.
#
# `out` is a directory that refers to itself and to the others: a file, a program, a symlink.
{
  # path: a directory with a static busybox by that name.
  busybox,
  # string: the system that the builds run on.
  system ? builtins.currentSystem,
  # int: bytes of the longest target of a symlink, 15 at least. XFS keeps at most 1024.
  longestTarget ? 4095,
}:
let
  shell = "${
    builtins.path {
      name = "busybox-static";
      path = busybox;
      filter = path: _type: baseNameOf path == "busybox";
    }
  }/busybox";

  repeat = count: text: builtins.concatStringsSep "" (builtins.genList (_: text) count);
in
derivation {
  name = "hostile+._?=-1";
  inherit system;
  outputs = [
    "out"
    "file"
    "program"
    "link"
  ];
  builder = shell;
  args = [
    "sh"
    "-euc"
    ''
      ${shell} mkdir -p bin
      ${shell} --install -s "$PWD/bin"
      PATH=$PWD/bin
      . "$commandsPath"
    ''
  ];
  passAsFile = [ "commands" ];
  commands = ''
    echo file >$file
    echo '#!/bin/sh' >$program
    chmod +x $program
    ln -s $file $link

    mkdir $out
    cd $out
    echo $out $file $program $link >references

    mkdir names targets
    number=0
    for name in \
      'two words' ' leading' 'trailing ' "new
    line" "trailing newline
    " "$(printf 'a\tb')" "$(printf '\r')" '"' "'" '\' '\n' '$HOME' '`id`' '*' '?' '~' '#' '%s' \
      -rf -- - .hidden ... ..two .,. 'ü' "$(printf '\377\376')" "$(printf '\1\177\200')" \
      ${repeat 255 "x"} ${repeat 127 "é"}
    do
      printf %s "$name" >"names/$name"
      mkdir -p "directories/$name"
      ln -s -- "$name" targets/$((number += 1))
    done

    mkdir entries
    for number in $(seq 3000); do
      echo >"entries/entry number $number" $((number % 7))
    done

    mkdir -p empty/directory deep/${repeat 60 "d/"}
    : >empty/file
    printf '#!/bin/sh\n' >executable
    chmod 755 executable
    echo 'mode 600' >private
    chmod 600 private

    mkdir links
    ln -s /nowhere/at/all links/dangling
    ln -s ../references links/relative
    ln -s /nix/store links/absolute
    ln -s $link/x links/store
    ln -s . links/itself
    ln -s ${repeat 59 "t"} links/59
    ln -s ${repeat 60 "t"} links/60
    ln -s ${repeat 20 "123456789/"} links/200
    ln -s ${builtins.substring 0 longestTarget (repeat 410 "123456789/")} links/${toString longestTarget}
    ln -s -- "$(printf '\377\n.')" links/bytes

    mkdir same
    for number in 1 2 3; do
      seq 20000 >same/$number
      chmod 444 same/$number
    done

    mkdir sizes
    for size in 1 59 60 61 159 160 161 4095 4096 4097 65535 65536 65537; do
      seq 20000 | head -c $size >sizes/$size
    done
    # Holes before, between and behind data.
    for megabyte in 1 3; do
      echo data | dd of=sizes/holes bs=1048576 seek=$megabyte conv=notrunc
    done
    truncate -s 6000000 sizes/holes
    truncate -s 5000000 sizes/zeros
  '';
}
