# Systems that stand in for a NixOS: each boots, and runs a Nix from its own store.
#
# `first` and `second` are two generations; nothing refers to `garbage`.
{
  # path: a directory with a static busybox by that name.
  busybox,
  # path: a directory with the program `nix`, the loader `ld.so` and, in `lib`, all libraries.
  nix,
}:
let
  shell = "${
    builtins.path {
      name = "busybox-static";
      path = busybox;
      filter = path: _type: baseNameOf path == "busybox";
    }
  }/busybox";

  run =
    name: script: environment:
    derivation (
      {
        inherit name shell;
        system = builtins.currentSystem;
        builder = shell;
        args = [
          "sh"
          "-euc"
          script
        ];
      }
      // environment
    );

  # Programs of Nix, which find their libraries beside them and not where Debian has them.
  nixPrograms =
    run "nix-programs"
      ''
        $shell mkdir -p $out/bin
        for name in nix nix-env nix-store nix-collect-garbage; do
          echo "#!$shell sh" > $out/bin/$name
          echo "exec $nix/ld.so --argv0 $name --library-path $nix/lib $nix/nix \"\$@\"" >> $out/bin/$name
          $shell chmod 755 $out/bin/$name
        done
      ''
      {
        nix = builtins.path {
          name = "nix";
          path = nix;
        };
      };

  makeSystem =
    generation:
    run "nixos-system-${generation}"
      ''
        $shell mkdir -p $out/bin $out/sw/bin
        for program in $nixPrograms/bin/*; do
          $shell ln -s $program $out/sw/bin/
        done
        $shell ln -s $shell $out/sw/bin/busybox
        $shell ln -s $shell $out/sw/bin/sh
        echo "#!$shell sh" > $out/init
        $shell sed "s|@system@|$out|; s|@shell@|$shell|" $initText >> $out/init
        echo "#!$shell sh" > $out/bin/switch-to-configuration
        $shell sed "s|@system@|$out|; s|@shell@|$shell|" $switchText >> $out/bin/switch-to-configuration
        echo "#!$shell sh" > $out/activate
        echo "echo \$IN_NIXOS_ENTER > /activated" >> $out/activate
        echo "#!$shell sh" > $out/sw/bin/passwd
        echo "$shell cp /activated /asked" >> $out/sw/bin/passwd
        $shell chmod 755 $out/init $out/activate $out/sw/bin/passwd $out/bin/switch-to-configuration
        echo "$generation" > $out/generation
        # A reference to what is addressed by its content.
        echo "$greeting" > $out/greeting
      ''
      {
        inherit generation nixPrograms;
        greeting = builtins.toFile "greeting" "hello from the store\n";
        initText = builtins.path {
          name = "init.sh";
          path = ./system/init.sh;
        };
        switchText = builtins.path {
          name = "switch-to-configuration.sh";
          path = ./system/switch-to-configuration.sh;
        };
      };
in
{
  inherit shell nixPrograms;
  first = makeSystem "first";
  second = makeSystem "second";
  channel = run "nixos-channel" "$shell mkdir $out; echo expression > $out/default.nix" { };
  garbage = run "garbage" "echo nobody refers to this > $out" { };
}
