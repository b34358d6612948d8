# Programs of the machine that builds, which find their libraries beside them and not where
# Debian has them.
{
  # path: a static busybox.
  shell,
  # path: a directory with the programs, their loader `ld.so` and, in `lib`, all libraries.
  files,
  # list of strings: the programs.
  names,
}:
derivation {
  name = "programs";
  system = builtins.currentSystem;
  builder = shell;
  args = [
    "sh"
    "-euc"
    ''
      $shell mkdir -p $out/bin
      for name in $names; do
        echo "#!$shell sh" > $out/bin/$name
        echo "exec $files/ld.so --argv0 $name --library-path $files/lib $files/$name \"\$@\"" >> $out/bin/$name
        $shell chmod 755 $out/bin/$name
      done
    ''
  ];
  inherit names shell;
  files = builtins.path {
    name = "programs-files";
    path = files;
  };
}
