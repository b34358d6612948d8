# Derivations of Debian packages: one for each item of packages.json beside this
# file, which `cargo xtask` writes. A package's output is what its .deb unpacks
# to, and refers to the packages that it depends on. `closure` refers to all.
#
# A static busybox is the builder: no nixpkgs, no network.
let
  rows = builtins.fromJSON (builtins.readFile ./packages.json);

  busybox = "${builtins.path { path = ./bin; name = "busybox-static"; }}/busybox";

  sh = name: script: env: derivation ({
    inherit name busybox;
    system = builtins.currentSystem;
    builder = busybox;
    args = [ "sh" "-euc" script ];
  } // env);

  unpack = { storeName, file, dependencies, ... }: sh storeName ''
    mkdir() { $busybox mkdir "$@"; }
    mkdir $out
    cd $out
    member=$($busybox ar t $deb | $busybox grep ^data.tar)
    case $member in
      *.xz) $busybox ar p $deb $member | $busybox xz -dc | $busybox tar -x ;;
      *.gz) $busybox ar p $deb $member | $busybox gzip -dc | $busybox tar -x ;;
      *) echo "cannot unpack $member" >&2; exit 1 ;;
    esac
    mkdir -p nix-support
    echo "$dependencies" > nix-support/dependencies
  '' {
    deb = builtins.path { path = ./debs + "/${file}"; name = "${storeName}.deb"; };
    dependencies = map (name: packages.${name}) dependencies;
  };

  packages = builtins.listToAttrs
    (map (row: { inherit (row) name; value = unpack row; }) rows);
in
packages // {
  inherit packages;
  closure = sh "debian-closure" "echo $all > $out" { all = builtins.attrValues packages; };
}
