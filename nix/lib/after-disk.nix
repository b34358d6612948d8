# The directory of a disk image after shell commands that see the image as `$diskImage`, and may
# change it and what is beside it. It costs a second copy of the image: the binary's own output is
# read-only.
{
  # attribute set or null: the nixpkgs whose build platform runs the commands.
  pkgs,
  # derivation: what build-disk.nix made, without `outputFiles`.
  disk,
  # string: the image in it.
  imageName,
  # string: what stands in nix-support/hydra-build-products, with @image@ for the image.
  products,
  # string: the shell commands.
  commands,
  # string: the argument that the commands come from, for the error.
  argument,
  # bool: whether the image, though it holds store paths, keeps none of them alive.
  discardReferences,
}:
import ./run-shell.nix {
  inherit pkgs discardReferences;
  reason = "${argument} is shell text";
  instead = "a derivation of your own, which takes the image as its input";
  inherit (disk) name;
  commands = ''
    diskImage=$out/${imageName}
    mkdir -p "$out/nix-support"
    cp --sparse=always ${disk}/${imageName} "$diskImage"
    chmod 0644 "$diskImage"
    echo "${builtins.replaceStrings [ "@image@" ] [ "$diskImage" ] products}" \
      >"$out/nix-support/hydra-build-products"
    ${commands}
  '';
}
